"""Retrainings that wait for people, and investigations that people end."""

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.steps.monitor import alarms, retraining
from monitoring.faults.data_faults import DataFault
from penumbra.approvals.accepted_faults import include_accepted_faults
from penumbra.approvals.announcements import announce_approvals
from penumbra.approvals.answers import ApprovalAnswer, record_answer
from penumbra.approvals.requests import ApprovalRefused, find_request, make_approval_terms
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.core.settings import Settings
from penumbra.logs.archiving.archive_health import save_archive_health
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from tests.helpers.models import monitored_model as world
from tests.helpers.models.monitored_model import ONE_DAY, WINDOW_BEGIN, run_monitor_pass
from tests.helpers.models.registered_versions import read_ledger_entries
from tests.helpers.problems.regular_flights import make_regular_flights

PROBLEM = load_checked_problem()
AFTER_A_WINDOW = WINDOW_BEGIN + 8 * ONE_DAY
SPAN = {"begin": str(WINDOW_BEGIN), "end": str(WINDOW_BEGIN + 7 * ONE_DAY)}
FROZEN_DAYS = [str(WINDOW_BEGIN + number * ONE_DAY) for number in (1, 2)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return world.make_monitor_settings(tmp_path, AFTER_A_WINDOW, approve="people")


def append_verdict(settings: Settings, verdict: str, **evidence: Any) -> int:
    event = LedgerEvent(kind="verdict", verdict=verdict, actor="ann", reason="drift: temp", evidence=evidence)
    return open_ledger(settings).append(event).number


def ask_retraining(settings: Settings) -> int:
    return append_verdict(settings, "retrain", window=SPAN, **make_approval_terms(settings.promotion))


def answer(settings: Settings, number: int, choice: Any, actor: str = "carol", reason: str = "as it is") -> str:
    return record_answer(settings, ApprovalAnswer(number, actor, choice, reason))


def respond(settings: Settings) -> str:
    """A pass's response, whose ingest fails: nothing has to be trained for it to be seen."""
    return retraining.respond_to_verdict(settings, PROBLEM, ingest=lambda: False, train=lambda reason: True)


def test_a_retraining_waits_and_is_done_by_the_pass_after_its_approval(settings: Settings, tmp_path: Path) -> None:
    number = ask_retraining(settings)
    assert respond(settings) == ""
    assert "approved by carol, and the next pass of `penumbra monitor` trains" in answer(settings, number, "approve")
    assert respond(settings).startswith("retrain (entry 1): nothing was trained: the ingest failed")
    last = read_ledger_entries(tmp_path)[-1]
    assert (last.kind, last.evidence["approved_by"]) == ("retrain", ["carol"])
    assert respond(settings) == ""


def test_a_declined_retraining_is_not_done_and_begins_no_cool_down(settings: Settings, tmp_path: Path) -> None:
    answer(settings, ask_retraining(settings), "decline")
    assert respond(settings) == ""
    assert alarms.list_retrained_windows(read_ledger_entries(tmp_path)) == {}


def test_of_two_retrainings_that_wait_the_earlier_is_void(settings: Settings, tmp_path: Path) -> None:
    ask_retraining(settings)
    ask_retraining(settings)
    respond(settings)
    respond(settings)
    (void,) = read_ledger_entries(tmp_path)[2:]
    assert (void.verdict, void.evidence, void.reason) == ("void", {"verdict": 1}, "entry 2 asks for one")
    with pytest.raises(ApprovalRefused, match="entry 1: it waits no more: entry 1 is void: entry 2 asks for one"):
        answer(settings, 1, "approve")
    answer(settings, 2, "approve")
    assert respond(settings).startswith("retrain (entry 2)")


def test_a_retraining_that_waits_is_done_where_the_rule_decides_again(settings: Settings, tmp_path: Path) -> None:
    ask_retraining(settings)
    rule = world.make_monitor_settings(tmp_path, AFTER_A_WINDOW, approve="rule")
    assert respond(rule).startswith("retrain (entry 1): nothing was trained: the ingest failed")
    retrained, void = read_ledger_entries(tmp_path)[1:]
    assert (retrained.kind, "approved_by" in retrained.evidence) == ("retrain", False)
    assert (void.verdict, void.evidence, void.reason) == ("void", {"verdict": 1}, "entry 2 is one")
    assert respond(rule) == ""
    led = alarms.list_retrained_windows(read_ledger_entries(tmp_path))
    assert led == {WINDOW_BEGIN: WINDOW_BEGIN + 7 * ONE_DAY}


@pytest.mark.slow
def test_a_pass_lets_its_verdicts_wait_for_as_many_people_as_are_set(empty: Path) -> None:
    world.log_monitored_days(empty, 7, wrong=True)
    run_monitor_pass(empty, AFTER_A_WINDOW, approve="people")
    (entry,) = read_ledger_entries(empty)
    assert (entry.verdict, entry.evidence["approval"]["approvers"]) == ("retrain", 1)
    people = world.make_monitor_settings(empty, AFTER_A_WINDOW, approve="people")
    assert respond(people) == ""
    assert [each.partition(" until ")[0] for each in announce_approvals(people)] == ["entry 1 waits for 1 person"]


@pytest.fixture
def stuck(empty: Path) -> Path:
    """A thermometer was stuck on two days, which the ledger has as entry 1."""
    days = {
        number: make_regular_flights(world.WINDOW_BEGIN_NUMBER + number).with_columns(temp=pl.lit(50.0))
        for number in (1, 2)
    }
    world.log_monitored_days(empty, 7, days)
    assert len(run_monitor_pass(empty, AFTER_A_WINDOW)) == 1
    return empty


@pytest.mark.slow
def test_accepted_days_are_those_of_the_fault_and_raise_no_alarm_again(stuck: Path) -> None:
    settings = world.make_monitor_settings(stuck, AFTER_A_WINDOW)
    said = answer(settings, 1, "accept days", reason="the sensor was replaced, the mean is right")
    assert said == "investigation 1 is ended by carol: accept days"
    accepted = include_accepted_faults(settings).monitor.accept
    assert accepted == [f"{day} temp" for day in FROZEN_DAYS]
    (stuck / "monitor/windows" / f"{WINDOW_BEGIN}.json").unlink()
    assert run_monitor_pass(stuck, AFTER_A_WINDOW, accept=", ".join(accepted)) == []
    assert world.read_windows(stuck)[0].faults == []


@pytest.mark.slow
def test_an_accepted_column_is_accepted_on_all_days(stuck: Path) -> None:
    settings = world.make_monitor_settings(stuck, AFTER_A_WINDOW, accept="humid")
    answer(settings, 1, "accept columns")
    assert include_accepted_faults(settings).monitor.accept == ["humid", "temp"]


@pytest.mark.slow
def test_a_confirmed_fault_stays_excluded(stuck: Path) -> None:
    settings = world.make_monitor_settings(stuck, AFTER_A_WINDOW)
    answer(settings, 1, "keep")
    assert include_accepted_faults(settings) == settings
    with pytest.raises(ApprovalRefused, match="entry 1: it waits no more: investigation 1 is ended by carol: keep"):
        answer(settings, 1, "accept days", "bob")


def test_where_two_have_to_end_an_investigation_they_have_to_agree(settings: Settings) -> None:
    two = settings.promotion.model_copy(update={"approvers": 2})
    fault = {"day": FROZEN_DAYS[0], "what": "frozen", "column": "temp", "text": "stuck", "cause": "a sensor"}
    number = append_verdict(settings, "investigate", faults=[fault], **make_approval_terms(two, is_lasting=True))
    answer(settings, number, "keep", "carol")
    answer(settings, number, "accept days", "bob")
    assert include_accepted_faults(settings).monitor.accept == []
    assert answer(settings, number, "accept days", "carol") == "investigation 1 is ended by carol and bob: accept days"
    assert include_accepted_faults(settings).monitor.accept == [f"{FROZEN_DAYS[0]} temp"]


def test_rows_that_arrive_again_end_the_investigation_of_their_silence(settings: Settings) -> None:
    last, silence = dt.date(2013, 4, 5), [DataFault("stale", "", "the last rows are of 2013-04-05", "nothing is asked")]
    assert len(alarms.record_silence(settings, last, silence)) == 1
    alarms.record_silence(settings, last, silence)
    alarms.record_silence(settings, None, [])
    assert announce_approvals(settings) == []
    assert alarms.record_silence(settings, last + 11 * ONE_DAY, []) == []
    assert announce_approvals(settings) == [
        "entry 1 (investigation) is void: rows arrive again, the last of 2013-04-16"
    ]


def test_an_archiver_that_works_again_ends_the_investigation_of_its_failure(settings: Settings) -> None:
    predictions, number = settings.service.predictions, append_verdict(settings, "investigate", stale="2013-04-01")
    save_archive_health(predictions, ["OSError: disk"], dt.datetime(2013, 4, 1, tzinfo=dt.UTC))
    alarms.record_archive_failure(settings)
    alarms.record_archive_failure(settings)
    save_archive_health(predictions, [], dt.datetime(2013, 4, 2, tzinfo=dt.UTC))
    assert alarms.record_archive_failure(settings) == []
    assert announce_approvals(settings) == ["entry 2 (investigation) is void: the archiver has worked since"]
    assert find_request(read_ledger_entries(settings.ledger.folder.parent), number).status == "waiting"


def test_what_is_no_fault_of_the_data_can_only_be_closed(settings: Settings) -> None:
    number = append_verdict(settings, "investigate", stale="2013-04-01")
    with pytest.raises(ApprovalRefused, match="entry 1: it names no fault of the data, so there is nothing to accept"):
        answer(settings, number, "accept days")
    with pytest.raises(ApprovalRefused, match="it is an investigation: end it with --accept"):
        answer(settings, number, "approve")
    with pytest.raises(ApprovalRefused, match="say why"):
        answer(settings, number, "keep", reason=" ")
    answer(settings, number, "keep")
    assert announce_approvals(settings) == ["entry 1 (investigation): keep by carol: as it is"]
