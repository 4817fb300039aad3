"""A pass of `make monitor`: which windows it judges, what it enters, and what it asks for."""

import datetime as dt
import multiprocessing
import shutil
from pathlib import Path

import polars as pl
import pytest

from flows.watch import figures, retraining, windows
from stores import versions
from stores.ledger import Event, Ledger
from stores.passes import Busy, alone
from tests import monitored as world
from tests import serving
from tests.flown import day
from tests.monitored import FIRST, ONE, entries, watch

WEEK = 7 * ONE
SECOND = FIRST + WEEK
DONE = SECOND + WEEK + ONE  # two windows are over, with all their labels


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """Two weeks in which nothing happens."""
    folder = tmp_path_factory.mktemp("calm")
    world.live(folder, database)
    world.answered(folder, 14)
    return folder


@pytest.fixture
def folder(tmp_path: Path, calm: Path) -> Path:
    return Path(shutil.copytree(calm, tmp_path, dirs_exist_ok=True))


@pytest.fixture
def empty(tmp_path: Path, database: Path) -> Path:
    """A live model that hasn't answered anything."""
    world.live(tmp_path, database)
    return tmp_path


def test_each_window_that_is_over_is_judged_once_however_late_the_pass_comes(folder: Path) -> None:
    assert watch(folder, DONE) == []
    found = world.windows(folder)
    assert [(each.begin, each.end) for each in found] == [(FIRST, SECOND), (SECOND, SECOND + WEEK)]
    assert [(each.verdict, each.model, each.rows) for each in found] == [("ok", "1", 840)] * 2
    record = folder / "monitor/windows" / f"{FIRST}.json"
    before = record.stat().st_mtime_ns
    assert watch(folder, DONE) == []
    assert record.stat().st_mtime_ns == before


def test_a_window_says_what_is_known_of_its_rows(folder: Path) -> None:
    watch(folder, DONE)
    found = world.windows(folder)[0]
    assert found.loss
    assert found.loss.threshold
    assert found.estimated
    assert found.labels
    assert found.drift
    assert found.loss.low < found.loss.mean < found.loss.high < found.loss.threshold
    assert found.estimated.low < found.estimated.mean < found.estimated.high
    assert abs(found.estimated.mean - found.loss.mean) < 0.03
    assert (found.labels.due, found.labels.arrived, found.loss.labels) == (840, 840, 840)
    assert found.calibration is not None
    assert found.calibration < 0.1
    assert 0 < found.drift.ratio < 1
    assert found.columns["temp"].threshold > 0
    assert found.slices == []


def test_a_window_that_isnt_over_is_not_judged(folder: Path) -> None:
    watch(folder, SECOND - ONE)
    assert world.windows(folder) == []


def test_loss_waits_for_the_last_label_and_is_then_judged(folder: Path) -> None:
    watch(folder, SECOND)
    (early,) = world.windows(folder)
    assert (early.loss, early.drift is None) == (None, False)
    watch(folder, SECOND + ONE)
    (late,) = world.windows(folder)
    assert late.loss
    assert late.drift == early.drift


def test_the_candidate_is_shown_beside_the_live_model_with_a_noise_floor(tmp_path: Path, database: Path) -> None:
    world.live(tmp_path, database).point("candidate", "2")
    world.answered(tmp_path, 7, beside="2")
    watch(tmp_path, SECOND + ONE)
    shadow = world.windows(tmp_path)[0].shadow
    assert shadow
    assert shadow.rows == 840
    assert shadow.disagreement == pytest.approx(0.05)
    assert shadow.floor is not None


def frozen(number: int) -> pl.DataFrame:
    return day(world.BEGINNING + number).with_columns(temp=pl.lit(50.0))


def test_a_fault_that_lasts_for_weeks_is_one_alarm(empty: Path) -> None:
    world.answered(empty, 14, {number: frozen(number) for number in range(5, 11)})
    (alarm,) = watch(empty, DONE)
    assert "temp has one value all day" in alarm
    first, second = world.windows(empty)
    assert [each.verdict for each in (first, second)] == ["investigate"] * 2
    assert {fault.day for fault in second.faults} == {SECOND + number * ONE for number in range(4)}
    (entry,) = entries(empty)
    assert (entry.verdict, entry.versions, entry.data_version) == ("investigate", {"live": "1"}, "data-1")


def test_a_fault_that_comes_back_is_a_new_alarm(empty: Path) -> None:
    world.answered(empty, 14, {number: frozen(number) for number in (1, 3, 8)})
    assert len(watch(empty, DONE)) == 2
    assert [len(entry.evidence["faults"]) for entry in entries(empty)] == [2, 1]


def test_a_fault_that_is_known_can_be_accepted(empty: Path) -> None:
    world.answered(empty, 7, {1: frozen(1)})
    assert watch(empty, SECOND + ONE, accept=f"{FIRST + ONE} temp, humid") == []
    assert world.windows(empty)[0].faults == []


def test_loss_beyond_its_threshold_asks_for_a_retraining_once_within_the_cool_down(empty: Path) -> None:
    world.answered(empty, 14, wrong=True)
    (alarm,) = watch(empty, DONE, cooldown_days=14)
    assert "retrain: loss" in alarm
    assert [each.verdict for each in world.windows(empty)] == ["retrain", "ok"]
    assert "the last retraining was on 2013-04-11" in world.windows(empty)[1].reason
    assert retraining.pending(entries(empty)) == entries(empty)[0]


def test_where_loss_has_risen_is_named_and_changes_no_verdict(empty: Path) -> None:
    world.answered(empty, 7, wrong_at="JFK")
    watch(empty, SECOND + ONE, on_loss="false")
    (window,) = world.windows(empty)
    worst = window.slices[0]
    assert (window.verdict, worst.column, worst.value) == ("ok", "origin", "JFK")
    assert worst.low > worst.reference
    assert "loss where origin is JFK" in figures.words(window)


def test_a_pass_killed_before_the_record_was_written_enters_nothing_twice(empty: Path) -> None:
    world.answered(empty, 7, wrong=True)
    assert len(watch(empty, SECOND + ONE)) == 1
    (empty / "monitor/windows" / f"{FIRST}.json").unlink()
    assert watch(empty, SECOND + ONE) == []
    assert world.windows(empty)[0].verdict == "retrain"
    assert len(entries(empty)) == 1


@pytest.mark.slow
def test_killed_at_one_thing_it_writes_after_the_other_a_pass_ends_as_if_nothing_had_been(empty: Path) -> None:
    world.answered(empty, 14, {number: frozen(number) for number in (1, 8)})
    for written in ("monitor/profiles.db", "ledger/ledger.jsonl", f"monitor/windows/{FIRST}.json"):
        process = multiprocessing.get_context("spawn").Process(target=watch, args=(empty, DONE))
        process.start()
        serving.wait_for((empty / written).exists, seconds=60)
        process.kill()
        process.join()
    watch(empty, DONE)
    assert [entry.evidence["window"]["begin"] for entry in entries(empty)] == [str(FIRST), str(SECOND)]
    assert [each.verdict for each in world.windows(empty)] == ["investigate"] * 2


def test_rows_that_stop_coming_are_one_alarm(folder: Path) -> None:
    (alarm,) = watch(folder, DONE + 5 * ONE)
    assert "the last rows are of 2013-04-17" in alarm
    assert watch(folder, DONE + 6 * ONE) == []


def test_a_day_with_few_rows_is_a_fault(empty: Path) -> None:
    world.answered(empty, 14, {9: day(world.BEGINNING + 9).head(30)})
    watch(empty, DONE)
    assert [fault.what for fault in world.windows(empty)[1].faults] == ["volume"]


def test_of_two_passes_at_once_one_says_so_and_leaves(folder: Path) -> None:
    with alone(folder / "monitor", "watch"), pytest.raises(Busy, match="another pass is at it"):
        watch(folder, DONE)
    assert watch(folder, DONE) == []


def test_without_any_answers_there_is_nothing_to_judge(empty: Path) -> None:
    assert watch(empty, DONE) == []
    assert "No window is over yet" in windows.words(world.settings(empty, DONE), [], "")


def test_the_last_windows_are_shown_as_a_table(folder: Path) -> None:
    watch(folder, DONE)
    shown = windows.words(world.settings(folder, DONE), ["it broke"], "")
    expected = [[str(begin), "1", "840", "100%"] for begin in (FIRST, SECOND)]
    assert [line.split()[:4] for line in shown.splitlines()[1:3]] == expected
    assert shown.endswith("New:\n  it broke")


def asked(folder: Path) -> None:
    place = {"begin": str(FIRST), "end": str(SECOND)}
    event = Event(kind="verdict", verdict="retrain", actor="ann", reason="drift: temp", evidence={"window": place})
    Ledger(folder / "ledger").append(event)


def test_a_retraining_that_fails_is_entered_and_not_tried_again_and_again(empty: Path) -> None:
    asked(empty)
    chosen = world.settings(empty, DONE)
    said = retraining.respond(chosen, ingest=lambda: False, train=lambda reason: True)
    assert "the ingest failed" in said
    assert (entries(empty)[-1].kind, entries(empty)[-1].verdict) == ("retrain", "failed")
    assert retraining.respond(chosen, ingest=lambda: False, train=lambda reason: True) == ""


def test_without_a_verdict_nothing_is_trained(empty: Path) -> None:
    assert retraining.respond(world.settings(empty, DONE), ingest=lambda: 1 / 0 > 0, train=lambda reason: True) == ""


def test_while_one_trains_another_does_not_begin(empty: Path) -> None:
    asked(empty)
    with alone(empty / "monitor", "retrain"), pytest.raises(Busy):
        retraining.respond(world.settings(empty, DONE), ingest=lambda: True, train=lambda reason: True)
    assert len(entries(empty)) == 1


def test_data_that_a_version_was_made_from_is_not_newer(empty: Path) -> None:
    early, later = (world.settings(empty, day) for day in (dt.date(2013, 1, 1), DONE))
    assert retraining.newer(early, [])
    (empty / "data/batches/2013-01").mkdir(parents=True)
    (empty / "data/batches/2013-01/flights.csv").write_text("a flight\n")
    gate = {"versions": {"candidate": "2"}, "data_version": versions.current(early.data)}
    Ledger(empty / "ledger").append(Event(kind="verdict", verdict="pass", actor="ann", reason="gate", **gate))
    assert not retraining.newer(early, entries(empty))
    assert retraining.newer(later, entries(empty))
