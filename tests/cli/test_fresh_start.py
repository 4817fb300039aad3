"""Setting another problem's state aside."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.steps.processes.flow_locks import get_data_lock
from monitoring.dashboard import processes
from penumbra.cli.fresh_start import StartOverRefused, start_over
from penumbra.core.settings import load_settings
from penumbra.storage.work_lock import hold_work_lock
from service.processes.deployment.state_lock import acquire_state_lock


def make_settings(**data):
    return load_settings(environ={}).model_copy(update=data)


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


@pytest.mark.parametrize("state", ["var/service", "var/second/service"])
def test_a_running_service_is_found_by_its_lock_whatever_its_port_and_state_folder(tmp_path, monkeypatch, state):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.dvc").write_text("")
    lock = acquire_state_lock(Path(state))
    with pytest.raises(StartOverRefused, match=f"^a service works in {state}: end it first$"):
        start_over(make_settings())
    assert (tmp_path / "data.dvc").exists()
    os.close(lock)
    assert "data.dvc" in start_over(make_settings())


def test_a_running_dashboard_is_found_by_its_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.dvc").write_text("")
    settings = make_settings()
    monkeypatch.setattr(processes, "load_settings", lambda: settings)
    said = []

    def try_to_start_over(self, announce):
        with pytest.raises(StartOverRefused) as refused:
            start_over(settings)
        said.append(str(refused.value))

    monkeypatch.setattr(processes.Supervisor, "run", try_to_start_over)
    processes.main()
    assert re.match(r"dashboard is at work \(since 20.*, process \d+\): end it or wait for it first$", said[0])
    assert "data.dvc" in start_over(settings)
