"""Outcomes that end before the rows do, or begin after them."""

import datetime as dt

import polars as pl
import pytest

from penumbra.training.doctor.notes import note_waiting_outcomes
from penumbra.training.doctor.waiting_outcomes import describe_late_beginning, find_waiting_outcomes

FIRST = dt.date(2024, 3, 1)


def count_days(*known):
    """Ten rows a day, and so many outcomes."""
    days = [FIRST + dt.timedelta(days=n) for n in range(len(known))]
    return pl.DataFrame({"day": days, "rows": [10] * len(known), "known": known})


def test_the_last_outcome_and_the_rows_after_it_are_told():
    waiting = find_waiting_outcomes(count_days(10, 9, 0, 0, 0))
    assert str(waiting) == "the outcomes end on 2024-03-02, 3 days before the last row, and 30 rows wait for theirs"
    assert waiting.hours == 72


@pytest.mark.parametrize(
    "known", [(10, 10, 10), (10, 10, 0), (1, 0, 0), (0, 0, 0), ()], ids=["whole", "a day", "by chance", "none", "empty"]
)
def test_outcomes_that_reach_the_end_or_nearly_so_wait_for_nothing(known):
    assert find_waiting_outcomes(count_days(*known)) is None


def test_the_doctor_notes_that_the_oldest_rows_have_no_outcomes():
    assert list(note_waiting_outcomes(count_days(0, 0, 0, 9, 10), 24)) == [
        "the outcomes begin on 2024-03-04, 3 days after the first row, and no model learns from the 30 rows before"
    ]


@pytest.mark.parametrize(
    "known", [(10, 10, 10), (0, 10, 10), (0, 0, 1), (0, 0, 0), ()], ids=["whole", "a day", "by chance", "none", "empty"]
)
def test_outcomes_that_begin_with_the_rows_or_nearly_so_are_no_note(known):
    assert describe_late_beginning(count_days(*known)) == ""


@pytest.mark.slow
def test_the_doctor_advises_a_longer_delay_where_the_setting_is_shorter():
    days = count_days(10, 10, 0, 0, 0)
    told = "the outcomes end on 2024-03-02, 3 days before the last row, and 30 rows wait for theirs"
    advice = ": where they come so late, set labels.delay_hours = 72 (it is 24)"
    assert list(note_waiting_outcomes(days, 24)) == [told + advice]
    assert list(note_waiting_outcomes(days, 72)) == [told]
    assert list(note_waiting_outcomes(count_days(10, 10), 24)) == []
