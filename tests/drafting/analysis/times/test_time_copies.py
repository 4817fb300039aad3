"""Columns that tell the time of a row once more are left out with the reason, and those that only look so are not."""

import datetime as dt

import polars as pl
import pytest

from penumbra.drafting.analysis.times.time_copies import find_time_copy
from tests.helpers.problems.drafted_orders import draft_orders, get_column

START = dt.datetime(2023, 12, 20, 5, 30, 15)
TIMES = [START + dt.timedelta(hours=7 * n) for n in range(150)]
MOMENTS = pl.Series("ordered at", TIMES)
DATES = pl.Series("ordered at", [each.date() for each in TIMES])
EPOCH = MOMENTS.dt.epoch("s")
DAYS = (DATES - dt.date(1899, 12, 30)).dt.total_days()
DATE_DIGITS = DATES.dt.strftime("%Y%m%d").cast(pl.Int64)


@pytest.mark.parametrize(
    ("values", "how"),
    [
        (EPOCH, "in seconds"),
        (EPOCH * 1000, "in milliseconds"),
        (EPOCH - EPOCH[0], "in seconds"),
        (EPOCH // 3600, "in hours"),
        (EPOCH / 86_400 + 25_569, "in days"),
        (DAYS, "in days"),
        (MOMENTS.dt.year() + (MOMENTS.dt.ordinal_day() - 1) / 365, "in years"),
        (MOMENTS.dt.year(), "as its year"),
        (MOMENTS.dt.year() - 2010, "as its year"),
        (DATE_DIGITS, "as the digits of its date"),
        (MOMENTS.dt.strftime("%Y%m%d%H%M").cast(pl.Int64), "as the digits of its date"),
        (DATES, "as another time"),
        (MOMENTS + dt.timedelta(hours=2), "as another time"),
        (MOMENTS.dt.replace_time_zone("Europe/Berlin").dt.convert_time_zone("UTC"), "as another time"),
        (DATES.dt.strftime("%-d. of %B"), "as a text of its own for each day"),
    ],
)
def test_a_copy_of_the_time_is_one_in_whatever_form(values, how):
    assert find_time_copy(values, MOMENTS) == f"tells the time of 'ordered at' once more, {how}"


@pytest.mark.parametrize("values", [EPOCH, DAYS, DATES, DATE_DIGITS, DATES.dt.strftime("%A, %F")])
def test_a_copy_of_a_date_is_one_too(values):
    assert find_time_copy(values, DATES)


def test_a_few_rows_that_differ_make_no_difference():
    assert find_time_copy(pl.Series([0, *EPOCH[1:]]), MOMENTS)


@pytest.mark.parametrize(
    "values",
    [
        MOMENTS.dt.hour(),
        MOMENTS.dt.day(),
        MOMENTS.dt.month(),
        MOMENTS.dt.quarter(),
        pl.Series([1] * 150),
        MOMENTS.dt.weekday(),
        MOMENTS.dt.strftime("%A"),
        pl.Series([f"order {n}" for n in range(150)]),
        pl.Series([3 * n + (n * n) % 11 for n in range(150)]),
        MOMENTS - pl.Series([dt.timedelta(days=(n * n) % 9) for n in range(150)]),
        pl.Series([None] * 150, dtype=pl.Int64),
    ],
)
def test_what_only_has_to_do_with_the_time_is_no_copy(values):
    assert find_time_copy(values, MOMENTS) == ""


def test_a_clock_beside_a_date_tells_more():
    assert find_time_copy(MOMENTS, DATES) == ""


def test_a_few_days_show_no_copy():
    assert find_time_copy(EPOCH[:20], MOMENTS[:20]) == ""


def test_a_copy_in_a_table_is_left_out_with_the_reason(tmp_path):
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n // 2) for n in range(400)]
    found = get_column(
        draft_orders(tmp_path, serial=[f"{(day - dt.date(1899, 12, 30)).days}.5" for day in days]), "serial"
    )
    assert (found.role, found.features, found.reason) == ("unused", (), "tells the time of 'day' once more, in days")
