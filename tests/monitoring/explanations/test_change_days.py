"""The day of a change: found where it is, with an interval that holds it, and nothing where nothing varies."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.explanations.change_days import estimate_change_day

FIRST = dt.date(2024, 7, 1)
BEFORE = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def series(*values: float) -> dict[dt.date, float]:
    return {day(number): value for number, value in enumerate(values)}


def test_a_step_is_found_on_its_day():
    found = estimate_change_day(series(0, 1, 0, 9, 10, 9), BEFORE)
    assert found is not None
    assert (found.day, found.low, found.high, found.is_open) == (day(3), day(3), day(3), False)


def test_a_step_without_any_other_variation_is_found_too():
    found = estimate_change_day(series(0, 0, 5, 5), [0.0, 0.0, 0.0])
    assert found is not None
    assert (found.day, found.low, found.high) == (day(2), day(2), day(2))


def test_a_small_step_has_a_wider_interval_that_holds_it():
    found = estimate_change_day(series(0, 1, 0, 1, 2, 1, 2, 1), BEFORE)
    assert found is not None
    assert found.low <= day(4) <= found.high
    assert found.low < found.high


def test_what_was_so_on_the_first_day_that_was_looked_at_may_be_older():
    found = estimate_change_day(series(9, 10, 9, 10), BEFORE)
    assert found is not None
    assert (found.day, found.is_open) == (day(0), True)


def test_without_a_reference_the_change_is_after_the_first_day():
    found = estimate_change_day(series(0, 1, 0, 1, 0, 9, 10, 9), [])
    assert found is not None
    assert (found.day, found.is_open) == (day(5), False)


@pytest.mark.parametrize(("values", "before"), [((), BEFORE), ((1, 2), [1.0]), ((1, 1, 1), [1.0, 1.0])])
def test_too_few_days_or_the_same_value_on_all_tell_nothing(values, before):
    assert estimate_change_day(series(*values), before) is None


def test_days_that_depend_on_each_other_widen_the_interval():
    widths = np.zeros(2)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        smooth = np.convolve(rng.normal(0, 1, 73), np.full(4, 0.5), "valid")
        for at, noise in enumerate((rng.permutation(smooth), smooth)):
            values = noise + (np.arange(70) >= 55) * 2.0
            found = estimate_change_day(series(*values[40:]), values[:40].tolist())
            assert found is not None
            widths[at] += (found.high - found.low).days
    assert 1.5 * widths[0] < widths[1]


@given(st.lists(st.floats(-1e6, 1e6), max_size=20), st.lists(st.floats(-1e6, 1e6), max_size=20))
def test_the_day_is_one_of_the_days_and_lies_in_its_interval(values, before):
    found = estimate_change_day(series(*values), before)
    assert found is None or day(0) <= found.low <= found.day <= found.high < day(len(values))
