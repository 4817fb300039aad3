"""Periods of the calendar, by which the rows of a source become batches."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

MONTHS = {"month": 1, "quarter": 3, "year": 12}
DAYS = {"day": 1, "week": 7}
PERIODS = (*DAYS, *MONTHS)
INTERVALS = {"day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}  # in polars' words


@dataclass(frozen=True)
class PeriodBatch:
    """A batch of a source.

    Attributes:
        name: Sorts by time: 2024-03-05, 2024-W10, 2024-03, 2024-Q1 or 2024.
        complete: The first day after the period.
        fingerprint: What is another when the rows may have changed; empty where the source can't tell.
    """

    name: str
    complete: dt.date
    fingerprint: str = ""


def check_period(period: str, known: tuple[str, ...] = PERIODS) -> None:
    """Check the name of a kind of period.

    Args:
        period: The name.
        known: The names there are.

    Raises:
        ValueError: It isn't known.
    """
    if period not in known:
        raise ValueError(f"period = {period!r}: expected one of {', '.join(known)}")


def build_period_start(times: pl.Expr, period: str) -> pl.Expr:
    """Build the expression of the first day of the period that a time lies in.

    Args:
        times: Times or dates.
        period: "day", "week" (which begins on a Monday), "month", "quarter" or "year".

    Returns:
        An expression of dtype Date; null where the time is.
    """
    return times.cast(pl.Date).dt.truncate(INTERVALS[period])


def find_next_period(first: dt.date, period: str) -> dt.date:
    """Find where a period ends.

    Args:
        first: The period's first day.
        period: A name of `PERIODS`.

    Returns:
        The first day of the next period; the last day there is where the calendar has no next one.
    """
    if period in DAYS:
        days = first.toordinal() + DAYS[period]
        return dt.date.fromordinal(min(days, dt.date.max.toordinal()))
    year, month = divmod(first.year * 12 + first.month - 1 + MONTHS[period], 12)
    return dt.date(year, month + 1, 1) if year <= dt.MAXYEAR else dt.date.max


def name_period(first: dt.date, period: str) -> str:
    """Name a period, so that names sort by time.

    Args:
        first: The period's first day.
        period: A name of `PERIODS`.

    Returns:
        The name, as `parse_period` reads it.
    """
    if period == "week":
        year, week, _ = first.isocalendar()
        return f"{year:04}-W{week:02}"
    if period == "quarter":
        return f"{first.year:04}-Q{(first.month + 2) // 3}"
    return first.isoformat()[: {"day": 10, "month": 7, "year": 4}[period]]


def parse_period(name: str, period: str) -> dt.date:
    """Find the first day of a period by its name.

    Args:
        name: What `name_period` gave.
        period: A name of `PERIODS`.

    Returns:
        The first day.

    Raises:
        ValueError: There is no such period.
    """
    year, _, quarter = name.partition("-Q")
    text = {"month": f"{name}-01", "year": f"{name}-01-01"}.get(period, name)
    try:
        first = dt.date(int(year), int(quarter) * 3 - 2, 1) if period == "quarter" else dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"batch {name!r} is no {period}: expected a name such as {_give_example(period)}") from None
    if name_period(first, period) != name:
        raise ValueError(f"batch {name!r} is no {period}: expected a name such as {_give_example(period)}")
    return first


def build_batch(first: dt.date, period: str, fingerprint: str = "") -> PeriodBatch:
    """Build the batch of a period.

    Args:
        first: The period's first day.
        period: A name of `PERIODS`.
        fingerprint: The batch's.

    Returns:
        The batch.
    """
    return PeriodBatch(name_period(first, period), find_next_period(first, period), fingerprint)


def _give_example(period: str) -> str:
    return name_period(dt.date(2024, 4, 1), period)
