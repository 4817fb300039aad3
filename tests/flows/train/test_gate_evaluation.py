"""What the gate is told to skip, and what a training says that it did not look at."""

import datetime as dt

import polars as pl
import pytest

from flows.steps.train.evaluation import list_surely_worse
from flows.steps.train.exclusions.exclusion_report import describe_excluded_days
from flows.steps.train.gate_evaluation import list_skipped_checks
from flows.steps.train.held_out import clip_compared_losses, sum_compared_days
from flows.steps.train.plan import read_skip_reason
from penumbra.core.columns import DAY_COLUMN, name_loss_column
from penumbra.training.evaluation.slices import WORST_SLICE_SCHEMA


@pytest.mark.parametrize(("doctor", "reason"), [("on", ""), ("skipped: DOCTOR=off", "DOCTOR=off")])
def test_the_doctor_runs_or_is_skipped_for_a_reason(doctor: str, reason: str) -> None:
    assert read_skip_reason(doctor) == reason


@pytest.mark.parametrize("doctor", ["off", "", "skipped", "skipped: ", "skipped:now"])
def test_the_doctor_is_not_skipped_without_a_reason(doctor: str) -> None:
    with pytest.raises(ValueError, match="expected 'on' or 'skipped: <reason>'"):
        read_skip_reason(doctor)


def test_a_skipped_doctor_is_listed_among_the_skipped_checks() -> None:
    assert list_skipped_checks(None, "a replay runs without the doctor") == {
        "doctor": "a replay runs without the doctor"
    }
    assert list_skipped_checks(None) == {}


def test_a_training_that_did_not_look_for_data_faults_says_so() -> None:
    assert "monitor.on_faults = false" in describe_excluded_days({}, on_faults=False)


def test_losses_above_the_ceiling_are_counted_for_each_model_of_the_comparison() -> None:
    losses = {
        "candidate": [1.0, 2.0, 3.0, 9.0],
        "baseline": [9.0, 9.0, 8.0, 1.0],
        "live": [1.0, float("nan"), 7.0, 8.0],
    }
    clipped, clipping = clip_compared_losses(
        pl.DataFrame({name_loss_column(name): each for name, each in losses.items()}), ceiling=5.0
    )
    assert clipping.shares == {"candidate": 0.25, "baseline": 0.75, "live": 0.5}
    assert clipped[name_loss_column("baseline")].to_list() == [5.0, 5.0, 5.0, 1.0]


def test_only_slices_that_are_surely_worse_are_listed_as_such_with_their_limits() -> None:
    rows = [("origin=EWR", 12_000, 31, 0.0512345, 0.01, 0.09), ("hour=5", 400, 25, 0.2, -0.1, 0.5)]
    worst = pl.DataFrame(rows, WORST_SLICE_SCHEMA, orient="row")
    assert list_surely_worse(worst) == [["origin=EWR", "12,000", "31", "0.0512 [0.0100, 0.0900]"]]


def test_the_days_on_which_the_gate_compared_are_summed_without_what_the_live_model_has_learnt() -> None:
    days = [dt.date(2013, 3, day) for day in (1, 1, 1, 2)]
    losses = {"candidate": [0.25, 0.5, 0.5, 0.0], "live": [0.5, 0.5, float("nan"), 0.25]}
    table = pl.DataFrame({DAY_COLUMN: days, **{name_loss_column(name): each for name, each in losses.items()}})
    assert sum_compared_days(table).rows() == [(days[0], 2, 0.25), (days[3], 1, 0.25)]
    assert sum_compared_days(table.drop(name_loss_column("live"))).is_empty()
