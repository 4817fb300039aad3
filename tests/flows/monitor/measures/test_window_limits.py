"""What of a window isn't judged, and that it is said."""

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from flows.steps.monitor import window_summary
from flows.steps.monitor.measures.window_limits import (
    describe_day_limits,
    describe_loss_limits,
    describe_refit_excess,
    describe_uncounted_rows,
)
from flows.steps.monitor.measures.window_signals import WindowSpan, get_day_start
from monitoring.permutation import compute_permutation_limit, draw_permutations, has_enough_days
from penumbra.core.histograms import OutcomeSums
from penumbra.core.settings import load_settings
from tests.helpers.models import monitored_model as world
from tests.helpers.models.monitored_model import ONE_DAY, WINDOW_BEGIN, run_monitor_pass
from tests.helpers.problems.regular_flights import make_regular_flights

SETTINGS = load_settings(environ={})
DAY = OutcomeSums(10, 10, 10, 10, 5.0, 3.0, np.zeros(1), np.zeros(1), np.zeros((3, 1)))
MODEL = SimpleNamespace(losses=SimpleNamespace(sums=np.zeros(59)))


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ([DAY] * 7, ""),
        ([DAY] * 6 + [replace(DAY, due=4)], "loss isn't judged yet: 64 of 70 labels are due"),
        (
            [DAY] + [replace(DAY, arrived=1, labels=0)] * 6,
            "loss isn't judged: 16 of 70 labels have arrived, on 1 day enough of them, and it takes 2 days (judged "
            "again once the others have)",
        ),
        (
            [DAY],
            "loss isn't judged: 10 of 10 labels have arrived, on 1 day enough of them, and it takes 2 days",
        ),
        (
            [replace(DAY, arrived=1, labels=0)],
            "loss isn't judged: 1 of 10 labels have arrived, on 0 days enough of them, and it takes 2 days",
        ),
        (
            [DAY] * 5 + [replace(DAY, arrived=1, labels=0)] * 2,
            "loss is judged on 5 of 7 days: on the others fewer than 95% of the labels have arrived",
        ),
        ([DAY] * 5 + [replace(DAY, rows=0, due=0, arrived=0, labels=0)] * 2, ""),
    ],
    ids=["all", "not due", "not there", "one day", "one day, not there", "some days", "weekend"],
)
def test_a_loss_that_is_not_judged_or_on_some_days_alone_is_said(outcomes, words):
    assert describe_loss_limits(SETTINGS, MODEL, outcomes) == words


def test_rows_of_a_window_that_another_version_answered_are_said_not_to_be_counted():
    days = WINDOW_BEGIN, WINDOW_BEGIN + 7 * ONE_DAY, get_day_start(WINDOW_BEGIN)
    assert describe_uncounted_rows("1", WindowSpan(*days, {})) == ""
    assert describe_uncounted_rows("1", WindowSpan(*days, {}, {"3": 80, "2": 906})) == (
        "drift, loss and labels are of version 1 alone: 986 rows by version 2, 3 aren't counted"
    )


def test_a_limit_that_is_raised_as_the_refit_is_worse_than_its_reference_is_said():
    slight, large = (SimpleNamespace(losses=SimpleNamespace(mean=2.0), excess=excess) for excess in (0.01, 0.1))
    assert describe_refit_excess(slight) == ""
    assert describe_refit_excess(large).startswith("loss: the limit is raised by 0.1000, which the model loses more")


def test_days_that_can_be_drawn_in_too_few_ways_can_be_no_alarm():
    assert describe_day_limits("drift", SETTINGS.monitor, 7, 59) == ""
    assert describe_day_limits("drift", SETTINGS.monitor, 7, 2) == (
        "drift can't be an alarm: the latest 7 days and the 2 of the model's reference can be mixed in too few ways "
        "for one false alarm in 100 windows"
    )


@pytest.mark.parametrize("reference", range(2, 8))
def test_a_window_is_beyond_the_limit_only_where_there_are_days_enough(reference):
    """The window's days are far beyond all others, and the limit is reached by the window's own copies or not."""
    drawn = draw_permutations(7, reference, 200, seed=1)
    far = drawn @ np.append(np.full(7, 1000.0), np.zeros(reference))
    if not has_enough_days(7, reference, 200):
        assert far[0] <= compute_permutation_limit(far, 200)
    elif reference > 5:
        assert far[0] > compute_permutation_limit(far, 200)


@pytest.mark.slow
def test_a_window_has_the_rows_of_the_version_that_answered_most_and_says_how_many_it_leaves_out(empty):
    day = make_regular_flights(world.WINDOW_BEGIN_NUMBER + 3)
    others = {**dict.fromkeys(range(3), day.clear()), 3: day.tail(20)}
    world.log_monitored_days(empty, 7, {3: day.head(day.height - 20)})
    world.log_monitored_days(empty, 4, others, model="2")
    run_monitor_pass(empty, WINDOW_BEGIN + 8 * ONE_DAY)
    (window,) = world.read_windows(empty)
    assert (window.model, window.rows, window.labels.due) == ("1", 820, 820)
    assert "drift, loss and labels are of version 1 alone: 20 rows by version 2 aren't counted" in window.limits


@pytest.mark.slow
def test_a_window_of_few_rows_says_what_it_could_not_judge_in_record_reason_and_summary(empty):
    few = {day: make_regular_flights(world.WINDOW_BEGIN_NUMBER + day).head(5) for day in range(14)}
    world.log_monitored_days(empty, 14, few)
    done = WINDOW_BEGIN + 15 * ONE_DAY
    run_monitor_pass(empty, done)
    first, second = world.read_windows(empty)
    assert first.limits[0] == "data faults aren't judged: the window has 35 rows, and it takes 50"
    assert first.reason.endswith("; ".join(first.limits))
    early, judged, last = (
        WINDOW_BEGIN + number * ONE_DAY for number in (8, 9, 13)
    )  # fifty rows are there on the tenth
    assert second.limits[0] == (
        f"data faults are judged on {judged} to {last} together with days before, as each has too few rows; "
        f"data faults aren't judged on {second.begin} to {early}: fewer than 50 rows"
    )
    shown = window_summary.format_window_summary(world.make_monitor_settings(empty, done).monitor, done, [], "")
    assert f"{second.begin}: {second.limits[0]}" in shown


@pytest.mark.slow
def test_a_fault_in_few_rows_is_found_once_there_are_rows_enough(empty):
    days = [make_regular_flights(world.WINDOW_BEGIN_NUMBER + day).head(5) for day in range(21)]
    stuck = {day: rows.with_columns(temp=50.0) if day >= 7 else rows for day, rows in enumerate(days)}
    world.log_monitored_days(empty, 21, stuck)
    alarms = run_monitor_pass(empty, WINDOW_BEGIN + 22 * ONE_DAY)
    third = world.read_windows(empty)[2]
    assert ("frozen", "temp") in {(fault.what, fault.column) for fault in third.faults}
    assert sum("temp has one value" in alarm for alarm in alarms) == 1
    assert all(fault.last < third.end for fault in third.faults)
    assert dt.timedelta(days=7) < third.end - third.faults[0].day
