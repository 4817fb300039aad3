"""Outcomes that end long before the rows do, as they come later, or begin long after them."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from penumbra.core.text.counts import format_count

MIN_WAIT_DAYS = 2  # a day is what labels.delay_hours allows anyway
MAX_CHANCE = 1e-3  # that the newest or the oldest rows lack their outcomes as any others do


@dataclass(frozen=True)
class WaitingOutcomes:
    """How long rows have been waiting for their outcomes.

    Attributes:
        last_day: The last day with an outcome.
        days: How many days before the last row that is.
        rows: How many rows follow it.
    """

    last_day: dt.date
    days: int
    rows: int

    @property
    def hours(self) -> int:
        """The label delay in hours that this suggests."""
        return 24 * self.days

    def __str__(self) -> str:
        """A sentence without a full stop."""
        rows = format_count(self.rows, "row waits for its own", "rows wait for theirs")
        return f"the outcomes end on {self.last_day}, {format_count(self.days, 'day')} before the last row, and {rows}"


def find_waiting_outcomes(days: pl.DataFrame) -> WaitingOutcomes | None:
    """Find out whether the outcomes end long before the rows do.

    Args:
        days: The days with rows, in any order: `day` (Date), the number of `rows`, and of those `known`, with an
            outcome.

    Returns:
        Since when rows wait; None where the newest have outcomes, none has, or the gap may be chance.
    """
    last, newest = days.filter(pl.col("known") > 0)["day"].max(), days["day"].max()
    if not isinstance(last, dt.date) or not isinstance(newest, dt.date) or (newest - last).days < MIN_WAIT_DAYS:
        return None
    rows, known = days.filter(pl.col("day") <= last).select(pl.sum("rows", "known")).row(0)
    waiting = days.select(pl.sum("rows")).item() - rows
    return None if _is_chance(rows, known, waiting) else WaitingOutcomes(last, (newest - last).days, waiting)


def describe_late_beginning(days: pl.DataFrame) -> str:
    """Describe that the outcomes begin long after the rows do.

    Args:
        days: As for `find_waiting_outcomes`.

    Returns:
        A sentence without a full stop; "" where the oldest rows have outcomes, none has, or the gap may be chance.
    """
    first, oldest = days.filter(pl.col("known") > 0)["day"].min(), days["day"].min()
    if not isinstance(first, dt.date) or not isinstance(oldest, dt.date) or (first - oldest).days < MIN_WAIT_DAYS:
        return ""
    rows, known = days.filter(pl.col("day") >= first).select(pl.sum("rows", "known")).row(0)
    before = days.select(pl.sum("rows")).item() - rows
    if _is_chance(rows, known, before):
        return ""
    told = f"the outcomes begin on {first}, {format_count((first - oldest).days, 'day')} after the first row"
    return f"{told}, and no model learns from the {format_count(before, 'row')} before"


def _is_chance(rows: int, known: int, unknown: int) -> bool:
    """Whether so many rows in turn may lack their outcomes as any of the others do."""
    return bool((1 - known / rows) ** unknown > MAX_CHANCE)
