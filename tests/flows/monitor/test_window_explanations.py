"""Explanations in windows' records and in the ledger, from real logs, labels and a real reference."""

import datetime as dt
from pathlib import Path

import pytest

from monitoring.reports import window_figures
from monitoring.windows.window_store import WindowStore
from tests.helpers.models import monitored_model as world
from tests.helpers.models.monitored_model import ONE_DAY, WINDOW_BEGIN, run_monitor_pass
from tests.helpers.models.registered_versions import read_ledger_entries
from tests.helpers.problems.regular_flights import make_regular_flights

END = WINDOW_BEGIN + 7 * ONE_DAY


@pytest.mark.slow
def test_turned_outcomes_are_a_change_of_the_relation_on_the_page_and_in_the_ledger(empty: Path) -> None:
    world.log_monitored_days(empty, 7, wrong=True)
    assert len(run_monitor_pass(empty, END + ONE_DAY)) == 1
    (window,) = world.read_windows(empty)
    assert window.explanation is not None
    loss = window.explanation.loss
    assert loss is not None
    assert loss.relation is not None
    assert loss.relation.is_rise
    assert not loss.inputs.is_rise
    assert window.explanation.since is not None
    assert window.explanation.since.low == WINDOW_BEGIN
    said = window_figures.describe_window(window)["why: loss"]
    assert "the same rows lose more than they did on the reference" in said
    (entry,) = read_ledger_entries(empty)
    assert entry.evidence["explanation"]["loss"]["relation"]["amount"] == loss.relation.amount


@pytest.mark.slow
def test_a_column_beyond_its_threshold_is_said_to_be_so_since_its_first_day(empty: Path) -> None:
    warm = {number: make_regular_flights(world.WINDOW_BEGIN_NUMBER + number, warmer=30) for number in range(9, 14)}
    world.log_monitored_days(empty, 14, warm)
    run_monitor_pass(empty, END + dt.timedelta(days=8))
    shifts = {shift.column: shift for shift in world.read_windows(empty)[1].explanation.shifts}  # type: ignore[union-attr]
    assert shifts["temp"].shift.startswith("higher: quartiles")
    assert shifts["temp"].since is not None
    assert shifts["temp"].since.day == WINDOW_BEGIN + 9 * ONE_DAY


@pytest.mark.slow
def test_before_the_labels_are_due_that_is_said(empty: Path) -> None:
    world.log_monitored_days(empty, 7)
    run_monitor_pass(empty, END)
    (window,) = world.read_windows(empty)
    assert window.explanation is not None
    assert window.explanation.loss is not None
    assert window.explanation.loss.relation is None
    assert "they aren't all due" in window.explanation.limits[0]


@pytest.mark.slow
def test_records_of_earlier_versions_have_none_and_stay_readable(empty: Path) -> None:
    world.log_monitored_days(empty, 7)
    run_monitor_pass(empty, END)
    store = WindowStore(empty / "monitor")
    (path,) = (empty / "monitor/windows").glob("*.json")
    kept = path.read_text()
    begin = kept.index(',\n "explanation"')
    path.write_text(kept[:begin] + "\n}\n")
    path.with_name(f"{path.name}.sha256").unlink()
    (window,) = store.read()
    assert window.explanation is None
