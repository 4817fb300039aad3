"""The time of a row: the column that is found, or asked for, the period of its batches, and the days that have rows."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from penumbra.core.text.quoting import list_names, quote_value
from penumbra.drafting.analysis.profiles import ColumnProfile
from penumbra.drafting.analysis.readings import Reading
from penumbra.drafting.analysis.tables import DataTable
from penumbra.drafting.analysis.words import LATER_WORDS, LIFE_WORDS, has_word_of
from penumbra.drafting.draft import DraftQuestion, DraftRefused, Unsaid

MAX_TIMELESS_SHARE = 0.01  # of the rows, which a time column may leave without a time
MIN_PERIODS = 4
MIN_PERIOD_ROWS = 30
MAX_PERIODS = 240
PERIOD_DAYS = {"day": 1, "week": 7, "month": 30.44, "quarter": 91.3, "year": 365.25}


@dataclass(frozen=True)
class TimeChoice:
    """The column that tells a row's time.

    Attributes:
        column: Its name.
        reason: Why it is that one, as a phrase; empty where the user said so.
    """

    column: str
    reason: str = ""


@dataclass(frozen=True)
class DaySpan:
    """The days of the rows.

    Attributes:
        first: The day of the first row.
        last: The day of the last row.
        days: How many days have rows.
    """

    first: dt.date
    last: dt.date
    days: int


def choose_time(
    readings: Mapping[str, Reading], profiles: Mapping[str, ColumnProfile], target: str, said: str | Unsaid
) -> TimeChoice:
    """Choose the column that tells when a row happened.

    Args:
        readings: How each column is read.
        profiles: What all rows say of each.
        target: The target's column.
        said: What the user chose.

    Returns:
        The user's choice, or the only column that fits.

    Raises:
        DraftRefused: The user's choice has no times.
        DraftQuestion: None fits, or several do.
    """
    if isinstance(said, str):
        _check_time(said, readings, profiles)
        return TimeChoice(said)
    times = [name for name, reading in readings.items() if _is_moment(reading.dtype) and name != target]
    whole = [name for name in times if is_nearly_full(profiles[name])]
    likely = [
        name for name in whole if not has_word_of(LATER_WORDS, name) and not has_word_of(LIFE_WORDS, name)
    ] or whole
    if len(likely) == 1:
        others = f", rather than {list_names(each for each in times if each != likely[0])}" if len(times) > 1 else ""
        return TimeChoice(likely[0], f"taken for the time of a row{others or ': no other column has times'}")
    if likely:
        raise DraftQuestion(
            f"several columns have times ({list_names(likely)}): pass --time with the one that tells when a row "
            "happened, that is when its prediction would have been made",
            "--time",
            likely,
        )
    lacking = f" in every row ({list_names(times)} lack some)" if times else ""
    raise DraftQuestion(
        f"no column has times{lacking}: pass --no-time to deal the rows to days in their order, or make a column of "
        "dates first",
        "--time",
        times,
    )


def is_nearly_full(profile: ColumnProfile) -> bool:
    """Tell whether about every row has a value of the column's dtype.

    Args:
        profile: What all rows say of the column.

    Returns:
        Whether at most one row of a hundred lacks it.
    """
    return profile.rows - profile.read <= MAX_TIMELESS_SHARE * profile.rows


def measure_days(table: DataTable, time: str, reading: Reading) -> DaySpan:
    """Measure on which days the rows are.

    Args:
        table: The table.
        time: The time column.
        reading: How it is read.

    Returns:
        The days, as the column shows them.
    """
    days = table.rows.select(reading.values.cast(pl.Date).alias("day")).drop_nulls()
    found = days.select(first=pl.col("day").min(), last=pl.col("day").max(), days=pl.col("day").n_unique())
    return DaySpan(*found.collect(engine="streaming").row(0))


def choose_period(span: DaySpan, rows: int) -> str:
    """Choose by what period batches are cut.

    Args:
        span: The days of the rows.
        rows: How many rows there are.

    Returns:
        "month" where that gives a handful of batches, none of them tiny; else the nearest period that does.
    """
    total = (span.last - span.first).days + 1
    if rows / total * PERIOD_DAYS["month"] < MIN_PERIOD_ROWS or total / PERIOD_DAYS["month"] > MAX_PERIODS:
        longer = [name for name in ("quarter", "year") if total / PERIOD_DAYS[name] >= MIN_PERIODS]
        full = [name for name in longer if rows / total * PERIOD_DAYS[name] >= MIN_PERIOD_ROWS]
        return next(iter([*full, *longer[-1:]]), "month")
    return next((name for name in ("month", "week") if total / PERIOD_DAYS[name] >= MIN_PERIODS), "day")


def _is_moment(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.Date | pl.Datetime)


def _check_time(name: str, readings: Mapping[str, Reading], profiles: Mapping[str, ColumnProfile]) -> None:
    if name not in readings:
        raise DraftRefused(f"the data have no column {quote_value(name)}: --time takes one of {list_names(readings)}")
    if not _is_moment(readings[name].dtype):
        raise DraftRefused(
            f"--time {quote_value(name)} has no times that could be read: expected dates such as 2024-03-01, times "
            "such as 2024-03-01 12:30, or seconds since 1970"
        )
    if not is_nearly_full(profile := profiles[name]):
        raise DraftRefused(
            f"--time {quote_value(name)} has no time in {profile.rows - profile.read:,} of {profile.rows:,} rows: "
            "expected one in each"
        )
