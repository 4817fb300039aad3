"""Setting another problem's state aside."""

from types import SimpleNamespace

import pytest

from flows.steps.flow_locks import get_data_lock
from penumbra.cli.fresh_start import StartOverRefused, start_over
from penumbra.core.settings import load_settings
from penumbra.core.system.http_client import find_free_port
from penumbra.storage.work_lock import hold_work_lock


def make_settings(**data):
    settings = load_settings(environ={})
    service = settings.service.model_copy(update={"port": find_free_port()})
    return settings.model_copy(update={"service": service, **data})


def test_data_models_and_logs_are_moved_aside_and_the_store_of_versions_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "data/batches/2013-01/a.csv",
        "data.dvc",
        "var/data/md5.json",
        "var/mlflow.db",
        "var/ledger/1.json",
        "var/remote/x",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    start_over(make_settings())
    (aside,) = (tmp_path / "var").glob("before-*")
    moved = {str(path.relative_to(aside)) for path in aside.rglob("*") if path.is_file()}
    assert moved == {
        "data/batches/2013-01/a.csv",
        "data.dvc",
        "var/data/md5.json",
        "var/mlflow.db",
        "var/ledger/1.json",
    }
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == [aside.name, "remote"]
    assert not (tmp_path / "data").exists()


def test_with_nothing_to_move_it_says_so_however_often_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StartOverRefused, match="neither data nor state"):
        start_over(make_settings())


def test_a_registry_elsewhere_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.dvc").write_text("")
    told = start_over(make_settings(registry=SimpleNamespace(tracking="http://mlflow:5000")))
    assert "http://mlflow:5000" in told
    assert "registry.model" in told


def test_while_somebody_is_at_work_nothing_is_moved_and_it_says_who(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.dvc").write_text("")
    settings = make_settings()
    who = r"^ingest is at work \(since 20.*, process [0-9]+\): end it or wait for it first$"
    with hold_work_lock(get_data_lock(settings), "ingest"), pytest.raises(StartOverRefused, match=who):
        start_over(settings)
    assert (tmp_path / "data.dvc").exists()
    assert "data.dvc" in start_over(settings)
