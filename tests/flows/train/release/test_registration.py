"""A registration that was cut short is carried out by the next training: ledger first, each step once."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import polars as pl
import pytest
from mlflow import MlflowClient

from flows.steps.promote import verdicts
from flows.steps.train.release import registration
from flows.steps.train.release.outcome_summary import OutcomeSummary
from flows.steps.train.release.registration import BegunRegistration, prepare_registration
from flows.steps.train.release.run_record import TrainingRuns
from flows.steps.train.settlement import prepare_registry
from penumbra.core.settings import RegistrySettings, Settings, load_settings
from penumbra.registry.aliases import LIVE_SINCE_TAG
from penumbra.registry.history import ledger_sync
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from tests.helpers.servers.processes import run_python


class KilledError(BaseException):
    """The process is no more."""


@pytest.fixture
def settings(tmp_path: Path, registry: RegistrySettings) -> Settings:
    places = {
        "TRAINING__FOLDER": "train",
        "LEDGER__FOLDER": "ledger",
        "SERVICE__STATE": "state",
        "SERVICE__PREDICTIONS": "log",
    }
    environ = {f"PENUMBRA_{name}": str(tmp_path / place) for name, place in places.items()}
    return load_settings(environ=environ).model_copy(update={"registry": registry})


def write_bundle(settings: Settings) -> Path:
    folder = settings.training.folder / "bundle"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").write_text("{}")
    return folder


def build_runs(bundle: Path) -> TrainingRuns:
    run = FinishedRun("train", 0, 1, {"train": "2024-01"}, {"loss": 0.5}, {"kind": "train"})
    return TrainingRuns(run, [FinishedRun("trial", 0, 1)], {"bundle": str(bundle)}, "d.dir")


def begin(settings: Settings, key: str = "k", verdict: str = "pass") -> Path:
    """Write what a training leaves before it registers anything."""
    runs = build_runs(write_bundle(settings))
    event = LedgerEvent(kind="verdict", actor="ann", reason="gate on 2024-01", verdict=verdict)
    begun = BegunRegistration(
        key, f"print of {key}", runs, True, event, OutcomeSummary("tree", "(data d)", "table", "")
    )
    file = settings.training.folder / "registration.msgpack"
    file.write_bytes(msgspec.msgpack.encode(begun))
    return file


def read_state(settings: Settings) -> tuple[dict[str, str] | None, list[tuple[str, dict[str, str]]], list[str]]:
    models = ModelRegistry(settings.registry)
    runs = models.client.search_runs([models._experiment()])
    entries = [(entry.kind, entry.versions) for entry in open_ledger(settings).entries()]
    return models.aliases(), entries, sorted(run.info.status for run in runs)


def read_live_since(settings: Settings) -> str | None:
    return ModelRegistry(settings.registry).tags("1").get(LIVE_SINCE_TAG)


FIRST = (
    {"live": "1"},
    [("verdict", {"candidate": "1"}), ("promotion", {"live": "1"})],
    ["FINISHED", "FINISHED"],
)


@pytest.mark.slow
def test_the_first_model_is_live_since_its_promotion(settings: Settings) -> None:
    begin(settings)
    prepare_registration(settings)
    assert read_live_since(settings) == open_ledger(settings).entries()[1].time.isoformat()


STEPS = ("log_batch", "set_terminated", "create_model_version", "set_registered_model_alias", "search_runs")


@pytest.mark.slow
@pytest.mark.parametrize("step", [*STEPS, "set_model_version_tag"])
def test_whatever_step_it_was_killed_at_the_next_training_does_the_rest_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = begin(settings)

    def die(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, step, die)
        with pytest.raises(KilledError):
            prepare_registration(settings)
    assert file.exists()
    prepare_registration(settings)
    assert read_state(settings) == FIRST
    assert not file.exists()
    prepare_registration(settings)
    assert read_state(settings) == FIRST
    assert read_live_since(settings) == open_ledger(settings).entries()[1].time.isoformat()


def make_outcome(settings: Settings, monkeypatch: pytest.MonkeyPatch, run: str = "train-7") -> Any:
    """Make what stands for the result of a training."""
    monkeypatch.setattr(registration, "complete_bundle", lambda outcome: write_bundle(settings))
    monkeypatch.setattr(registration, "build_training_runs", lambda outcome, bundle, reason: build_runs(bundle))
    monkeypatch.setattr(registration, "summarise_outcome", lambda outcome: OutcomeSummary("tree", "d", "table", ""))
    event = LedgerEvent(kind="verdict", actor="ann", reason="gate on 2024-01", verdict="pass")
    monkeypatch.setattr(registration, "_build_verdict", lambda outcome: event)
    return SimpleNamespace(
        settings=settings,
        plan=SimpleNamespace(fingerprint="f"),
        matrices=SimpleNamespace(arrays=SimpleNamespace(folder=settings.training.folder / run)),
        winner="tree",
        gate=SimpleNamespace(report=SimpleNamespace(is_servable=True), failed=pl.DataFrame()),
    )


@pytest.mark.slow
@pytest.mark.parametrize("registry", ["sqlite_registry", "postgres_registry"], indirect=True)
@pytest.mark.parametrize("step", STEPS)
def test_a_retry_that_finds_no_file_of_the_first_attempt_finishes_what_that_has_begun(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    outcome = make_outcome(settings, monkeypatch)

    def die(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, step, die)
        with pytest.raises(KilledError):
            registration.register_outcome(outcome)
    shutil.rmtree(settings.training.folder)
    assert "is live" in registration.register_outcome(outcome)
    assert read_state(settings) == FIRST


@pytest.mark.slow
def test_of_two_trainings_of_the_same_on_two_machines_one_is_registered(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = settings.cluster.model_copy(update={"state": str(tmp_path / "shared")})
    settings = settings.model_copy(update={"cluster": cluster})
    assert "Version 1 is live" in registration.register_outcome(make_outcome(settings, monkeypatch))
    shutil.rmtree(settings.training.folder)
    said = registration.register_outcome(make_outcome(settings, monkeypatch, run="train-8"))
    assert said.startswith("Nothing to register: another training has made version 1 of this data")
    assert "Version 1 is live" in registration.register_outcome(make_outcome(settings, monkeypatch))
    assert read_state(settings) == FIRST


@pytest.mark.slow
def test_the_ledger_has_the_first_model_before_it_is_live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(settings)

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(ModelRegistry, "set_alias", die)
        with pytest.raises(KilledError):
            prepare_registration(settings)
    assert read_state(settings)[:2] == ({}, FIRST[1])
    assert ledger_sync.rebuild_aliases(settings, open_ledger(settings).entries()) == "live: none -> 1"


@pytest.mark.slow
def test_a_candidate_that_is_replaced_is_named_with_the_days_of_evidence_that_end(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("first", "second"):
        begin(settings, key=key)
        prepare_registration(settings)
    verdict = LedgerEvent(
        kind="verdict",
        actor="a",
        reason="r",
        verdict="keep collecting",
        versions={"candidate": "2", "live": "1"},
        evidence={"evidence": {"days": 5}},
    )
    open_ledger(settings).append(verdict)
    begin(settings, key="third")
    prepare_registration(settings)
    said = capsys.readouterr().out
    assert "It replaces candidate 2, which had 5 days of evidence (entry 4 of the ledger)" in said


@pytest.mark.slow
def test_an_alias_that_was_moved_since_the_verdict_stays(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(settings)
    prepare_registration(settings)
    file = begin(settings, key="second")
    with monkeypatch.context() as patched:
        patched.setattr(registration, "describe_outcome", lambda *_: (_ for _ in ()).throw(KilledError()))
        with pytest.raises(KilledError):
            prepare_registration(settings)
    event = LedgerEvent(
        kind="verdict", actor="a", reason="r", verdict="reject", versions={"candidate": "2", "live": "1"}
    )
    open_ledger(settings).append(event)
    ModelRegistry(settings.registry).delete_alias("candidate")
    prepare_registration(settings)
    assert ModelRegistry(settings.registry).aliases() == {"live": "1"}
    assert not file.exists()


def test_without_the_bundle_it_is_given_up(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    file = begin(settings)
    (settings.training.folder / "bundle/bundle.json").unlink()
    (settings.training.folder / "bundle").rmdir()
    prepare_registration(settings)
    assert "its model is trained again" in capsys.readouterr().out
    assert not file.exists()


@pytest.mark.slow
def test_the_first_pass_of_promotion_follows_the_first_training(settings: Settings) -> None:
    begin(settings)
    prepare_registration(settings)
    assert verdicts.prepare_aliases(settings) == {"live": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [prepare_registration, prepare_registry])
def test_beside_a_live_model_without_ledger_and_answers_no_training_begins(
    settings: Settings, prepare: Callable[[Settings], None]
) -> None:
    begin(settings)
    prepare(settings)
    prepare(settings)
    assert read_state(settings) == FIRST
    shutil.rmtree(settings.ledger.folder)
    with pytest.raises(BrokenLedger, match=r"version 1 of .* is live in .* doesn't name it, and .* has no answer"):
        prepare(settings)


@pytest.mark.slow
def test_a_registry_in_order_is_found_so_without_mlflow(settings: Settings) -> None:
    code = (
        "import sys; from flows.steps.train.settlement import prepare_registry\n"
        "from penumbra.core.settings import load_settings\n"
        "prepare_registry(load_settings()); print('mlflow' in sys.modules)"
    )
    environ = {
        "PENUMBRA_REGISTRY__TRACKING": settings.registry.tracking,
        "PENUMBRA_REGISTRY__ARTIFACTS": settings.registry.artifacts,
        "PENUMBRA_TRAINING__FOLDER": str(settings.training.folder),
        "PENUMBRA_LEDGER__FOLDER": str(settings.ledger.folder),
    }
    assert run_python(code, environ) == ["False"]


@pytest.mark.slow
def test_a_ledger_without_a_promotion_takes_no_live_alias_away(settings: Settings) -> None:
    begin(settings)
    prepare_registration(settings)
    assert "version 1 is live: nothing was changed" in ledger_sync.rebuild_aliases(settings, [])
    assert ModelRegistry(settings.registry).aliases() == {"live": "1"}


def test_a_run_that_nobody_records_any_more_is_ended(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    models = ModelRegistry(settings.registry)
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_batch", lambda *_: (_ for _ in ()).throw(KilledError()))
        with pytest.raises(KilledError):
            models.record(FinishedRun("experiment", 0, 1), data_version="data-1")
    assert models.end_aborted_runs() == 0
    monkeypatch.setattr("penumbra.registry.tracking.mlflow_runs.MAX_RECORDING_SECONDS", -1.0)
    assert models.end_aborted_runs() == 1
    assert read_state(settings)[2] == ["KILLED"]
