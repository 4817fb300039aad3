"""What a pass of `make monitor` enters and alarms of: faults, loss, rows that stop, readers that are behind."""

import datetime as dt
from pathlib import Path

import msgspec
import polars as pl
import pytest

from flows.steps.monitor import retraining
from flows.steps.monitor.alarms import record_alarm
from monitoring.reports import window_figures
from monitoring.windows.window_records import LargestDrift, Window, WindowLoss
from penumbra.approvals.requests import list_requests
from penumbra.logs.archiving.archive_health import save_archive_health
from penumbra.logs.lag import INDEX_METRICS_FILE
from tests.helpers.logs import prediction_logs
from tests.helpers.models import monitored_model as world
from tests.helpers.models.monitored_model import DONE, ONE_DAY, SECOND, WINDOW_BEGIN, run_monitor_pass
from tests.helpers.models.recorded_windows import make_window
from tests.helpers.models.registered_versions import read_ledger_entries
from tests.helpers.problems.regular_flights import make_regular_flights
from tests.helpers.programs.forking import get_pass_forks
from tests.helpers.servers import local_service


def frozen(number: int) -> pl.DataFrame:
    return make_regular_flights(world.WINDOW_BEGIN_NUMBER + number).with_columns(temp=pl.lit(50.0))


@pytest.mark.slow
def test_a_fault_that_lasts_for_weeks_is_one_alarm(empty: Path) -> None:
    world.log_monitored_days(empty, 14, {number: frozen(number) for number in range(5, 11)})
    (alarm,) = run_monitor_pass(empty, DONE)
    assert "temp has one value all day" in alarm
    first, second = world.read_windows(empty)
    assert [each.verdict for each in (first, second)] == ["investigate"] * 2
    assert {fault.day for fault in second.faults} == {SECOND + number * ONE_DAY for number in range(4)}
    (entry,) = read_ledger_entries(empty)
    assert (entry.verdict, entry.versions, entry.data_version) == ("investigate", {"live": "1"}, "data-1")


@pytest.mark.slow
def test_a_fault_that_comes_back_is_a_new_alarm(empty: Path) -> None:
    world.log_monitored_days(empty, 14, {number: frozen(number) for number in (1, 3, 8)})
    assert len(run_monitor_pass(empty, DONE)) == 2
    assert [len(entry.evidence["faults"]) for entry in read_ledger_entries(empty)] == [2, 1]


@pytest.mark.slow
def test_a_fault_that_is_known_can_be_accepted(empty: Path) -> None:
    world.log_monitored_days(empty, 7, {1: frozen(1)})
    assert run_monitor_pass(empty, SECOND + ONE_DAY, accept=f"{WINDOW_BEGIN + ONE_DAY} temp, humid") == []
    assert world.read_windows(empty)[0].faults == []


@pytest.mark.slow
def test_killed_at_one_thing_it_writes_after_the_other_a_pass_ends_as_if_nothing_had_been(empty: Path) -> None:
    world.log_monitored_days(empty, 14, {number: frozen(number) for number in (1, 8)})
    for written in ("monitor/profiles.db", "ledger/ledger.jsonl", f"monitor/windows/{WINDOW_BEGIN}.json"):
        process = get_pass_forks().Process(target=run_monitor_pass, args=(empty, DONE))
        process.start()
        local_service.wait_until((empty / written).exists, seconds=60)
        process.kill()
        process.join()
    run_monitor_pass(empty, DONE)
    assert [entry.evidence["window"]["begin"] for entry in read_ledger_entries(empty)] == [
        str(WINDOW_BEGIN),
        str(SECOND),
    ]
    assert [each.verdict for each in world.read_windows(empty)] == ["investigate"] * 2


@pytest.mark.slow
def test_loss_beyond_its_threshold_asks_for_a_retraining_once_within_the_cool_down(empty: Path) -> None:
    world.log_monitored_days(empty, 14, wrong=True)
    (alarm,) = run_monitor_pass(empty, DONE, cooldown_days=14)
    assert alarm.startswith("2013-04-04 to 2013-04-10, version 1: retrain: loss")
    assert [each.verdict for each in world.read_windows(empty)] == ["retrain", "wait"]
    assert "the last retraining was on 2013-04-11" in world.read_windows(empty)[1].reason
    assert retraining.find_pending_verdict(read_ledger_entries(empty)) == read_ledger_entries(empty)[0]


def test_a_retraining_that_has_to_wait_is_told_where_that_begins_and_asks_nobody(tmp_path: Path) -> None:
    settings = world.make_monitor_settings(tmp_path, DONE, approve="people")
    verdicts, before = ["ok", "wait", "wait", "retrain", "wait", "ok", "wait"], list[Window]()
    for number, verdict in enumerate(verdicts):
        begin = WINDOW_BEGIN + 7 * number * ONE_DAY
        before.append(
            Window(
                begin=begin,
                end=begin + 7 * ONE_DAY,
                model="1",
                rows=840,
                verdict=verdict,
                reason="drift",
                judged=dt.datetime(2013, 7, 1, tzinfo=dt.UTC),
            )
        )
        record_alarm(settings, before[-1], before[:-1], "data-1")
    entries = read_ledger_entries(tmp_path)
    assert [entry.evidence["window"]["begin"] for entry in entries] == ["2013-04-11", "2013-04-25", "2013-05-16"]
    assert [request.entry.verdict for request in list_requests(entries)] == ["retrain"]


CALM, DRIFT, RISEN = LargestDrift(0.5, "temp"), LargestDrift(1.6, "temp"), WindowLoss(6_000, 0.6, 0.58, 0.62, 0.5)


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ("wait", [("2013-04-01", ["drift"]), ("2013-04-15", ["drift", "loss"]), ("2013-04-29", ["drift", "loss"])]),
        ("investigate", [("2013-04-01", []), ("2013-04-15", ["loss"])]),
    ],
)
def test_what_comes_to_be_beyond_its_threshold_is_told_while_something_else_lasts(
    tmp_path: Path, verdict: str, told: list[tuple[str, list[str]]]
) -> None:
    settings = world.make_monitor_settings(tmp_path, DONE)
    lasting = [msgspec.structs.replace(fault, days=35) for fault in make_window(0, verdict).faults]
    changes = [(DRIFT, None), (DRIFT, None), (DRIFT, RISEN), (CALM, RISEN), (DRIFT, RISEN)]
    before = list[Window]()
    for number, (drift, loss) in enumerate(changes):
        before.append(make_window(number, verdict, drift=drift, loss=loss, faults=lasting))
        record_alarm(settings, before[-1], before[:-1], "data-1")
    entries = read_ledger_entries(tmp_path)
    assert [(entry.evidence["window"]["begin"], entry.evidence["alarms"]) for entry in entries] == told


@pytest.mark.parametrize(
    ("verdict", "told"),
    [("wait", [["drift"], ["drift", "loss"]]), ("investigate", [[], ["loss"]]), ("retrain", [["drift"]])],
)
def test_a_window_that_is_judged_again_tells_what_its_labels_show(
    tmp_path: Path, verdict: str, told: list[list[str]]
) -> None:
    settings = world.make_monitor_settings(tmp_path, DONE, approve="people")
    for loss in (None, RISEN, RISEN):
        record_alarm(settings, make_window(0, verdict, drift=DRIFT, loss=loss), [], "data-1")
    entries = read_ledger_entries(tmp_path)
    assert [entry.evidence["alarms"] for entry in entries] == told
    assert sum(len(entry.evidence["faults"]) for entry in entries) == (verdict == "investigate")


@pytest.mark.slow
def test_where_loss_has_risen_is_named_and_changes_no_verdict(empty: Path) -> None:
    world.log_monitored_days(empty, 7, wrong_at="JFK")
    run_monitor_pass(empty, SECOND + ONE_DAY, on_loss="false")
    (window,) = world.read_windows(empty)
    worst = window.slices[0]
    assert (window.verdict, worst.column, worst.value) == ("ok", "origin", "JFK")
    assert worst.low > worst.reference
    assert "loss where origin is JFK" in window_figures.describe_window(window)


NO_FLIGHTS = make_regular_flights(0).clear()
A_SUNDAY = 2  # of the numbers of days
SUNDAYS, A_TUESDAY = (3, 10), 12  # counted from the first window on


@pytest.mark.slow
@pytest.mark.parametrize(("silent", "faults"), [(SUNDAYS, []), ((*SUNDAYS, A_TUESDAY), ["volume"])])
def test_a_day_without_rows_is_a_fault_unless_the_reference_has_none_on_such_days(
    tmp_path: Path, database: Path, silent: tuple[int, ...], faults: list[str]
) -> None:
    world.make_live_model(tmp_path, database, [each for each in world.REFERENCE_DAY_NUMBERS if each % 7 != A_SUNDAY])
    world.log_monitored_days(tmp_path, 14, dict.fromkeys(silent, NO_FLIGHTS))
    run_monitor_pass(tmp_path, DONE)
    assert [fault.what for each in world.read_windows(tmp_path) for fault in each.faults] == faults


@pytest.mark.slow
def test_a_day_with_few_rows_is_a_fault(empty: Path) -> None:
    world.log_monitored_days(empty, 14, {9: make_regular_flights(world.WINDOW_BEGIN_NUMBER + 9).head(30)})
    run_monitor_pass(empty, DONE)
    assert [fault.what for fault in world.read_windows(empty)[1].faults] == ["volume"]


@pytest.mark.slow
def test_rows_that_come_every_fifth_day_stop_after_far_more_than_five(tmp_path: Path, database: Path) -> None:
    world.make_live_model(tmp_path, database, world.REFERENCE_DAY_NUMBERS[::5])
    world.log_monitored_days(tmp_path, 11, {number: NO_FLIGHTS for number in range(11) if number % 5})
    last = WINDOW_BEGIN + 10 * ONE_DAY
    said = [" ".join(run_monitor_pass(tmp_path, last + days * ONE_DAY)) for days in (8, 12)]
    assert [f"the last rows are of {last}" in each for each in said] == [False, True]


@pytest.mark.slow
def test_who_is_behind_with_the_logs_is_an_alarm_of_the_pass(entered: Path) -> None:
    prediction_logs.log_labels(entered, prediction_logs.make_label_by_key(1, 42))
    (entered / "predictions").mkdir()
    (entered / "predictions" / INDEX_METRICS_FILE).touch()
    (alarm,) = run_monitor_pass(entered, DONE)
    assert "labels wait for the index, more than 60 s (labels.max_lag_seconds)" in alarm
    assert run_monitor_pass(entered, DONE) == []


def test_an_archiver_that_fails_is_an_alarm_once(entered: Path) -> None:
    settings = world.make_monitor_settings(entered, DONE)
    since = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
    save_archive_health(settings.service.predictions, ["DamagedArchive: a part", "OSError: disk"], since)
    reason = "the archiver fails since 2013-04-01 00:00 UTC, and the logs may fill the disk: DamagedArchive: a part"
    assert run_monitor_pass(entered, DONE) == [f"investigate: {reason} (and 1 more)"]
    assert run_monitor_pass(entered, DONE) == []
    assert read_ledger_entries(entered)[-1].verdict == "investigate"
