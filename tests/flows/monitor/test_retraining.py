"""What follows a verdict that asks for a retraining, and what data is newer than the latest version's."""

import datetime as dt
from pathlib import Path

import pytest

from flows.steps.monitor import retraining
from penumbra.data.versioning import versions
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.storage.work_lock import PassInProgress, hold_pass_lock
from tests.helpers.models import monitored_model as world
from tests.helpers.models.monitored_model import DONE, PROBLEM, SECOND, WINDOW_BEGIN
from tests.helpers.models.registered_versions import read_ledger_entries


def asked(folder: Path) -> None:
    place = {"begin": str(WINDOW_BEGIN), "end": str(SECOND)}
    event = LedgerEvent(
        kind="verdict", verdict="retrain", actor="ann", reason="drift: temp", evidence={"window": place}
    )
    Ledger(folder / "ledger").append(event)


@pytest.mark.slow
def test_a_retraining_that_fails_is_entered_and_not_tried_again_and_again(empty: Path) -> None:
    asked(empty)
    settings = world.make_monitor_settings(empty, DONE)
    said = retraining.respond_to_verdict(settings, PROBLEM, ingest=lambda: False, train=lambda reason: True)
    assert "the ingest failed" in said
    assert (read_ledger_entries(empty)[-1].kind, read_ledger_entries(empty)[-1].verdict) == ("retrain", "failed")
    assert retraining.respond_to_verdict(settings, PROBLEM, ingest=lambda: False, train=lambda reason: True) == ""


def test_a_training_whose_pass_was_killed_before_it_was_entered_is_entered_as_one(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(empty)
    versions = {"candidate": "2", "live": "1"}
    event = LedgerEvent(kind="verdict", actor="ann", reason="gate", verdict="pass", versions=versions)
    Ledger(empty / "ledger").append(event)
    monkeypatch.setattr(retraining.plan, "make_plan", lambda *_: None)
    monkeypatch.setattr(retraining.plan, "find_trained_version", lambda *_: "2")
    retraining.respond_to_verdict(world.make_monitor_settings(empty, DONE), PROBLEM, lambda: True, lambda reason: True)
    last = read_ledger_entries(empty)[-1]
    assert (last.kind, last.verdict, last.versions) == ("retrain", "trained", {"new": "2"})


def test_the_ledger_has_the_reason_that_a_flow_stopped_for(empty: Path) -> None:
    asked(empty)

    def stop() -> bool:
        raise retraining.FlowFailed("the source is away")

    retraining.respond_to_verdict(world.make_monitor_settings(empty, DONE), PROBLEM, stop, lambda reason: True)
    assert read_ledger_entries(empty)[-1].reason.endswith("the ingest failed, the source is away")


def test_without_a_verdict_nothing_is_trained(empty: Path) -> None:
    assert (
        retraining.respond_to_verdict(
            world.make_monitor_settings(empty, DONE), PROBLEM, ingest=lambda: 1 / 0 > 0, train=lambda reason: True
        )
        == ""
    )


def test_while_one_trains_another_does_not_begin(empty: Path) -> None:
    asked(empty)
    with hold_pass_lock(empty / "monitor", "retrain"), pytest.raises(PassInProgress):
        retraining.respond_to_verdict(
            world.make_monitor_settings(empty, DONE), PROBLEM, ingest=lambda: True, train=lambda reason: True
        )
    assert len(read_ledger_entries(empty)) == 1


def test_data_that_a_version_was_made_from_is_not_newer(empty: Path) -> None:
    early, later = (world.make_monitor_settings(empty, day) for day in (dt.date(2013, 1, 1), DONE))
    assert retraining.has_new_data(early.data, PROBLEM, [])
    (empty / "data/batches/2013-01").mkdir(parents=True)
    (empty / "data/batches/2013-01/flights.csv").write_text("a flight\n")
    gate = {"versions": {"candidate": "2"}, "data_version": versions.compute_data_version(early.data)}
    Ledger(empty / "ledger").append(LedgerEvent(kind="verdict", verdict="pass", actor="ann", reason="gate", **gate))
    assert not retraining.has_new_data(early.data, PROBLEM, read_ledger_entries(empty))
    assert retraining.has_new_data(later.data, PROBLEM, read_ledger_entries(empty))
