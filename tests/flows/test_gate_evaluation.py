"""What the gate is told to skip, and what a training says that it did not look at."""

import pytest

from flows.steps.train.excluded_days import describe_excluded_days
from flows.steps.train.gate_evaluation import list_skipped_checks, read_skip_reason


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
