"""Parquet files as tables: what stands for a missing value is one."""

import datetime as dt
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from penumbra.sources import TableFiles
from tests.helpers.problems.table_sources import read_batches

DAY = dt.datetime(2024, 1, 5)
FAR_MICROSECONDS = [2**63 - 1, -(2**63) + 1, 10**18, -(10**17)]  # DuckDB's infinity, and the years 33658 and -1199
FAR_DAYS = [2**31 - 1, -(2**31) + 1, 10**7, -(10**6)]


def make_times(physical, dtype):
    """Times by their number since 1970, as programs write them whose calendar is another."""
    return pl.Series("ends", physical).cast(pl.Int32 if dtype == pl.Date else pl.Int64).cast(dtype)


def open_source(folder, time="at", zone=None, **columns):
    pl.DataFrame(columns).write_parquet(folder / "rows.parquet")
    return TableFiles(folder, time=time, time_zone=zone)


FAR_TIMES = pytest.mark.parametrize(
    ("dtype", "far"),
    [
        (pl.Date, FAR_DAYS),
        (pl.Datetime("us"), FAR_MICROSECONDS),
        (pl.Datetime("us", "Asia/Tokyo"), FAR_MICROSECONDS),
        (pl.Datetime("ms"), FAR_MICROSECONDS),
    ],
    ids=str,
)


@FAR_TIMES
def test_times_that_are_infinite_or_beyond_the_calendar_are_missing(tmp_path, dtype, far):
    source = open_source(tmp_path, at=[DAY] * 5, ends=make_times([0, *far], dtype))
    first, *others = source.parse(source.fetch("2024-01"))["ends"].to_list()
    assert (str(first)[:10], others) == ("1970-01-01", [None] * 4)


@FAR_TIMES
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_row_whose_time_is_beyond_the_calendar_stays_with_the_row_before_it(tmp_path, dtype, far, zone):
    source = open_source(tmp_path, "ends", zone, ends=make_times([0, *far], dtype))
    [rows] = read_batches(source).values()
    assert rows["ends"].to_list()[1:] == [None] * 4


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("us"), pl.Datetime("ms"), pl.Datetime("ns")], ids=str)
def test_the_first_and_the_last_day_of_the_calendar_are_read(tmp_path, dtype):
    days = [dt.date(1677, 9, 22), dt.date(2262, 4, 11)] if dtype == pl.Datetime("ns") else [dt.date.min, dt.date.max]
    source = open_source(tmp_path, at=[DAY, DAY], ends=pl.Series(days).cast(dtype))
    assert source.parse(source.fetch("2024-01"))["ends"].cast(pl.Date).to_list() == days


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_time_that_a_zone_moves_out_of_the_calendar_is_missing(tmp_path, zone):
    source = open_source(tmp_path, "ends", zone, ends=[dt.date(2024, 1, 5), dt.date.min, dt.date.max])
    [rows] = read_batches(source).values()
    offset = dt.datetime(2024, 1, 5, tzinfo=ZoneInfo(zone)).utcoffset()
    _, first, last = rows["ends"].to_list()
    assert (first is None, last is None) == (offset > dt.timedelta(), False)
