"""Columns that tell the time of a row once more: as a number that counts, as another date, or as a text a day."""

from typing import Any

import polars as pl

from penumbra.core.text.quoting import quote_value

MIN_COPIED_DAYS = 10  # on which a column has to follow the time
FAULTY_SHARE = 0.01  # of the rows at either end that may differ
HOUR, DAY = 3600.0, 86_400.0  # seconds
# The seconds of what a number may count, from whatever moment on.
UNITS = {"microseconds": 1e-6, "milliseconds": 1e-3, "seconds": 1.0, "minutes": 60.0, "hours": HOUR, "days": DAY}
YEAR_DAYS = 365.25
COMPACT_DIGITS = (0, 2, 4, 6)  # of the clock that may follow in 20240301


def find_time_copy(values: pl.Series, time: pl.Series) -> str:
    """Find out whether a column tells the time of a row once more, which only grows and never comes again.

    Args:
        values: The column's numbers, text, dates or times.
        time: The times of the same rows (Date or Datetime), by the name of their column.

    Returns:
        Why it is a copy, as a phrase; empty where it isn't.
    """
    moment = time.dt.replace_time_zone(None) if isinstance(time.dtype, pl.Datetime) else time
    rows = pl.DataFrame({"value": values, "moment": moment.cast(pl.Datetime("us"))}).drop_nulls()
    if rows["moment"].dt.date().n_unique() < MIN_COPIED_DAYS:
        return ""
    clock_seconds = HOUR if isinstance(time.dtype, pl.Datetime) else DAY  # an hour, as summer time may shift it
    if values.dtype == pl.String:
        how = "as a text of its own for each day" if _names_days(rows) else ""
    elif isinstance(values.dtype, pl.Date | pl.Datetime):
        how = _describe_other_time(rows, clock_seconds)
    else:
        how = _describe_count(rows, clock_seconds) if values.dtype.is_numeric() else ""
    return f"tells the time of {quote_value(time.name)} once more, {how}" if how else ""


def _names_days(rows: pl.DataFrame) -> bool:
    """Whether each day has a text of its own, in several rows."""
    named = rows.select("value", pl.col("moment").dt.date())
    pairs, days = named.n_unique(), named["moment"].n_unique()
    return pairs == days == named["value"].n_unique() < rows.height


def _describe_other_time(rows: pl.DataFrame, clock_seconds: float) -> str:
    """How a time follows another one; one with a clock beside dates tells more than these."""
    has_clock = isinstance(rows["value"].dtype, pl.Datetime)
    if has_clock and clock_seconds == DAY:
        return ""
    value = rows["value"].dt.replace_time_zone(None) if has_clock else rows["value"].cast(pl.Datetime("us"))
    apart = (value - rows["moment"]).dt.total_seconds()
    return "as another time" if _is_steady(apart, clock_seconds if has_clock else DAY) else ""


def _describe_count(rows: pl.DataFrame, clock_seconds: float) -> str:
    """How a number follows the time: it counts from some moment on, or its digits are those of the date."""
    value, moment = rows["value"].cast(pl.Float64), rows["moment"]
    seconds = moment.dt.epoch("us") / 1e6
    longest = rows.select((pl.max("moment") - pl.min("moment")).dt.total_seconds()).item() / MIN_COPIED_DAYS
    for unit, length in UNITS.items():
        most = length + clock_seconds
        if most <= longest and _is_steady(value * length - seconds, most):
            return f"in {unit}"
    years = moment.dt.year() + (moment.dt.ordinal_day() - 1) / YEAR_DAYS
    if _is_steady(value - years, 2 / YEAR_DAYS):
        return "in years"
    if not _is_steady(value, 0.0) and _is_steady(value - moment.dt.year(), 0.0):
        return "as its year"
    date = moment.dt.year() * 10_000 + moment.dt.month().cast(pl.Int32) * 100 + moment.dt.day()
    digits = (value // 10**count - date for count in COMPACT_DIGITS)
    return "as the digits of its date" if any(_is_steady(each, 0.0) for each in digits) else ""


def _is_steady(differences: pl.Series, most: float) -> bool:
    """Whether about all differences lie so near to each other."""
    ends: list[Any] = [differences.quantile(share, "nearest") for share in (FAULTY_SHARE, 1 - FAULTY_SHARE)]
    return bool(ends[1] - ends[0] <= most)
