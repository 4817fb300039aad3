"""Periods of the calendar: they follow each other without a gap, and their names sort by time."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.sources.times.periods import (
    PERIODS,
    build_period_start,
    find_next_period,
    name_period,
    parse_period,
)

DAYS = st.dates(dt.date(1700, 1, 1), dt.date(2199, 12, 31))


def find_start(day, period):
    """The first day of the period that a day lies in."""
    return pl.select(build_period_start(pl.lit(day), period)).item()


@pytest.mark.parametrize("period", PERIODS)
@given(DAYS)
def test_each_day_lies_in_one_period_which_its_name_leads_back_to(period, day):
    first = find_start(day, period)
    end = find_next_period(first, period)
    assert first <= day < end
    assert find_start(end, period) == end
    assert find_start(end - dt.timedelta(days=1), period) == first
    assert parse_period(name_period(first, period), period) == first


@pytest.mark.parametrize("period", PERIODS)
@given(DAYS, DAYS)
def test_names_sort_by_time(period, one, other):
    first, second = sorted(find_start(day, period) for day in (one, other))
    assert (name_period(first, period) < name_period(second, period)) is (first < second)


@pytest.mark.parametrize(
    ("period", "names"),
    [
        ("day", ["2024-3-05", "2024-02-30", "2024-03", ""]),
        ("week", ["2024-W53", "2024-W1", "2024-03-05"]),
        ("month", ["2024-13", "2024-3", "2024"]),
        ("quarter", ["2024-Q5", "2024-Q0", "2024-Q01", "2024"]),
        ("year", ["24", "2024-01"]),
    ],
)
def test_what_names_no_period_is_refused_with_an_example(period, names):
    for name in names:
        with pytest.raises(ValueError, match=f"is no {period}: expected a name such as 2024"):
            parse_period(name, period)


def test_the_calendars_last_period_ends_with_it():
    assert [find_next_period(dt.date(9999, 12, 31), period) for period in ("day", "week")] == [dt.date.max] * 2
    assert [find_next_period(dt.date(9999, 10, 1), period) for period in ("quarter", "year")] == [dt.date.max] * 2
