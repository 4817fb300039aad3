"""The period by which batches are cut: that of the files, or one that gives neither few nor tiny batches."""

import polars as pl

from penumbra.drafting.analysis.times.moments import DaySpan, TimeChoice
from penumbra.drafting.reading.observation import Observation
from penumbra.sources.times.named_dates import find_named_date
from penumbra.sources.times.periods import PERIODS, build_period_start

MIN_PERIODS = 4
MIN_PERIOD_ROWS = 30
MAX_PERIODS = 240
MIN_FILE_PERIODS = 3  # one to learn from, one to choose by, one for the test
# Which periods consist of whole ones of another.
LONGER_PERIODS = {
    "day": ("week", "month", "quarter", "year"),
    "week": (),
    "month": ("quarter", "year"),
    "quarter": ("year",),
    "year": (),
}
DATE_PERIODS = ("year", "quarter", "month")
PERIOD_DAYS = {"day": 1, "week": 7, "month": 30.44, "quarter": 91.3, "year": 365.25}


def find_file_period(seen: Observation, time: TimeChoice) -> str | None:
    """Find the period of which each file has the rows.

    Args:
        seen: What is seen of the table.
        time: What tells a row's time.

    Returns:
        The shortest period that no file crosses an end of; None where there is one file, or no such period.
    """
    if time.options.get("dated_names"):
        told = {find_named_date(name)[1] for name in seen.table.files}
        return max(told, key=PERIODS.index)
    if len(seen.table.parts) < 2 or time.column not in seen.readings:
        return None
    day = seen.readings[time.column].values.cast(pl.Date)
    starts = [build_period_start(day, period).n_unique().alias(period) for period in PERIODS]
    try:
        counts = pl.concat([part.filter(day.is_not_null()).select(starts) for part in seen.table.parts]).collect()
    except pl.exceptions.PolarsError:  # files of different dtypes, which are one only when they are put together
        return None
    return next((period for period in PERIODS if (counts[period] <= 1).all()), None)


def find_date_period(days: pl.Series) -> str | None:
    """Find the period of which all rows have the first day, as where a year or a month is all that is known.

    Args:
        days: The days of the rows (Date).

    Returns:
        The longest such period; None where rows have other days, or all the same.
    """
    known = days.drop_nulls().unique().to_frame("day")
    firsts = (
        known["day"] == known.select(build_period_start(pl.col("day"), name)).to_series() for name in DATE_PERIODS
    )
    found = [name for name, is_first in zip(DATE_PERIODS, firsts, strict=True) if is_first.all()]
    return found[0] if found and known.height > 1 else None


def choose_period(span: DaySpan, rows: int, file_period: str | None = None) -> str:
    """Choose by what period batches are cut.

    Args:
        span: The days of the rows.
        rows: How many rows there are.
        file_period: The period of which each file has the rows; None where there is none.

    Returns:
        The files' period, so that no batch lies in two of them, or a longer one where that gives too many or tiny
        batches. Without one "month" where that gives a handful of batches, none of them tiny; else the nearest period
        that does.
    """
    total = (span.last - span.first).days + 1
    if file_period:
        for name in (file_period, *LONGER_PERIODS[file_period]):
            count = total / PERIOD_DAYS[name]
            if round(count) >= MIN_FILE_PERIODS and count <= MAX_PERIODS and rows / count >= MIN_PERIOD_ROWS:
                return name
    if rows / total * PERIOD_DAYS["month"] < MIN_PERIOD_ROWS or total / PERIOD_DAYS["month"] > MAX_PERIODS:
        longer = [name for name in ("quarter", "year") if total / PERIOD_DAYS[name] >= MIN_PERIODS]
        full = [name for name in longer if rows / total * PERIOD_DAYS[name] >= MIN_PERIOD_ROWS]
        return next(iter([*full, *longer[-1:]]), "month")
    return next((name for name in ("month", "week") if total / PERIOD_DAYS[name] >= MIN_PERIODS), "day")
