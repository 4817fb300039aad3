"""What the gate is told to skip, and what a training says that it did not look at."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from flows.steps.train.excluded_days import describe_excluded_days
from flows.steps.train.gate_evaluation import list_skipped_checks, read_skip_reason, sum_compared_days
from flows.steps.train.live_model import LivePredictions
from penumbra.core.settings import load_settings
from penumbra.core.task import Task


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


def test_the_days_on_which_the_gate_compared_are_summed_without_what_the_live_model_has_learnt() -> None:
    live = LivePredictions("1", {}, np.array([0.5, 0.5, np.nan, 0.5]))
    days = pl.Series([dt.date(2013, 3, day) for day in (1, 1, 1, 2)])
    labels, candidate = np.array([True, True, True, False]), np.array([0.75, 0.5, 0.5, 0.0])
    promotion = load_settings(environ={}).promotion.model_copy(update={"loss": "brier"})
    found = sum_compared_days(promotion, Task("binary"), labels, candidate, live, days)
    assert found.rows() == [(days[0], 2, pytest.approx(0.25 - 0.0625)), (days[3], 1, pytest.approx(0.25))]
    assert sum_compared_days(promotion, Task("binary"), labels, candidate, None, days).is_empty()
