"""Labels that come after their window was judged: the next pass judges it again, once, and tells what is new."""

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.steps.monitor import due_windows
from monitoring.windows.window_records import Window
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from tests.helpers.models import monitored_model as world
from tests.helpers.models.monitored_model import DONE, ONE_DAY, PROBLEM, SECOND, WINDOW_BEGIN, run_monitor_pass
from tests.helpers.models.registered_versions import read_ledger_entries

pytestmark = pytest.mark.slow
LATER = SECOND + 3 * ONE_DAY
DAYS = [WINDOW_BEGIN + number * ONE_DAY for number in range(7)]


def run_pass(folder: Path, today: dt.date, **monitor: Any) -> list[str]:
    """Without an alarm that rows have stopped arriving."""
    return run_monitor_pass(folder, today, on_faults=False, **monitor)


def withhold_labels(folder: Path) -> list[Path]:
    """Set the labels aside; returns them by day, to be moved back."""
    aside = folder / "late"
    (folder / "labels").rename(aside)
    return sorted(aside.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)


def deliver_labels(folder: Path, segments: list[Path]) -> None:
    for path in segments:
        shutil.move(path, folder / "labels" / path.name)


def read_window(folder: Path) -> Window:
    return world.read_windows(folder)[0]


@pytest.fixture
def unlabelled(empty: Path) -> tuple[Path, list[Path]]:
    """A window of seven days in which the loss has risen, judged without its labels, which have come since."""
    world.log_monitored_days(empty, 7, wrong=True)
    segments = withhold_labels(empty)
    assert run_pass(empty, SECOND + ONE_DAY) == []
    return empty, segments


def test_the_next_pass_judges_the_window_again_and_says_so(unlabelled: tuple[Path, list[Path]]) -> None:
    folder, segments = unlabelled
    assert (read_window(folder).loss, read_window(folder).awaited) == (None, DAYS)
    assert "(judged again once the others have)" in read_window(folder).reason
    deliver_labels(folder, segments)
    (alarm,) = run_pass(folder, LATER)
    window = read_window(folder)
    assert window.loss
    assert (window.loss.labels, window.awaited, window.judged.date()) == (840, [], LATER)
    assert window.limits[-1] == f"judged again on {LATER}, as labels of {DAYS[0]} to {DAYS[-1]} came late"
    assert alarm == f"2013-04-04 to 2013-04-10, version 1: retrain: {window.reason}"
    assert [(entry.verdict, entry.reason) for entry in read_ledger_entries(folder)] == [("retrain", window.reason)]


def test_what_was_told_is_told_once_and_the_window_left_alone_then(unlabelled: tuple[Path, list[Path]]) -> None:
    folder, segments = unlabelled
    deliver_labels(folder, segments)
    run_pass(folder, LATER)
    before = read_window(folder)
    assert run_pass(folder, LATER + ONE_DAY) == []
    assert read_window(folder) == before
    assert len(read_ledger_entries(folder)) == 1


def test_a_pass_killed_before_the_record_was_written_is_finished_by_the_next_which_tells_nothing_twice(
    unlabelled: tuple[Path, list[Path]],
) -> None:
    folder, segments = unlabelled
    record = folder / "monitor/windows"
    shutil.copytree(record, folder / "before")
    deliver_labels(folder, segments)
    run_pass(folder, LATER)
    done = read_window(folder)
    shutil.rmtree(record)
    (folder / "before").rename(record)
    assert run_pass(folder, LATER) == []
    assert read_window(folder) == done
    assert len(read_ledger_entries(folder)) == 1


def test_a_window_whose_labels_never_come_is_not_judged_again(
    unlabelled: tuple[Path, list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = unlabelled
    before = read_window(folder)
    capsys.readouterr()
    assert run_pass(folder, LATER) == []
    assert (read_window(folder), capsys.readouterr().out) == (before, "")


def test_a_window_waits_for_labels_for_the_days_of_the_setting_period_days(
    unlabelled: tuple[Path, list[Path]],
) -> None:
    folder, segments = unlabelled
    deliver_labels(folder, segments)
    run_pass(folder, SECOND + 12 * ONE_DAY, period_days=10)
    assert read_window(folder).loss is None
    run_pass(folder, SECOND + 11 * ONE_DAY, period_days=10)
    assert read_window(folder).loss


def test_it_takes_as_many_days_with_labels_as_a_loss_takes_and_each_further_one_is_added(
    unlabelled: tuple[Path, list[Path]],
) -> None:
    folder, segments = unlabelled
    counted = []
    for number in (1, 1, 1, 4):
        deliver_labels(folder, [segments.pop(0) for _ in range(number)])
        run_pass(folder, LATER)
        loss = read_window(folder).loss
        counted.append((loss and loss.labels, len(read_window(folder).awaited)))
    assert counted == [(None, 7), (240, 5), (360, 4), (840, 0)]
    assert len(read_ledger_entries(folder)) == 1


def test_after_a_retraining_for_later_days_the_window_asks_for_none(unlabelled: tuple[Path, list[Path]]) -> None:
    folder, segments = unlabelled
    later = {"begin": str(SECOND), "end": str(DONE - ONE_DAY)}
    event = LedgerEvent(kind="verdict", verdict="retrain", actor="ann", reason="drift", evidence={"window": later})
    Ledger(folder / "ledger").append(event)
    deliver_labels(folder, segments)
    (alarm,) = run_pass(folder, LATER)
    assert "version 1: wait: loss" in alarm
    assert "but a later window has led to a retraining, on 2013-04-18" in alarm


def test_a_window_that_somebody_else_has_judged_again_meanwhile_is_passed_over(
    unlabelled: tuple[Path, list[Path]],
) -> None:
    folder, segments = unlabelled
    deliver_labels(folder, segments)
    settings = world.make_monitor_settings(folder, LATER, on_faults=False)
    monitor_pass, due = due_windows.find_due_windows(settings, PROBLEM)
    assert due.late == {WINDOW_BEGIN: DAYS}
    measured = list(due_windows.measure_windows(monitor_pass, due.rows, due.begins))
    assert len(due_windows.judge_measured_windows(settings, PROBLEM, due, measured)) == 1
    done = (folder / f"monitor/windows/{WINDOW_BEGIN}.json").stat().st_mtime_ns
    assert due_windows.judge_measured_windows(settings, PROBLEM, due, measured) == []
    assert (folder / f"monitor/windows/{WINDOW_BEGIN}.json").stat().st_mtime_ns == done


def test_answers_that_were_given_long_after_their_days_are_judged_once_their_labels_are_due(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = dt.datetime.combine(LATER, dt.time(), dt.UTC) - dt.timedelta(hours=5)
    answer = world.Answer
    monkeypatch.setattr(world, "Answer", lambda time, *more: answer(given, *more))
    world.log_monitored_days(empty, 7)
    run_pass(empty, LATER)
    assert (read_window(empty).loss, read_window(empty).awaited) == (None, DAYS)
    capsys.readouterr()
    run_pass(empty, LATER)
    assert capsys.readouterr().out == ""
    run_pass(empty, LATER + ONE_DAY)
    assert read_window(empty).loss
