"""Outcomes that end long before the rows do, as they come later."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from penumbra.core.text.counts import format_count

MIN_WAIT_DAYS = 2  # a day is what labels.delay_hours allows anyway
MAX_CHANCE = 1e-3  # that the newest rows lack their outcomes as any others do


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
    is_chance = (1 - known / rows) ** waiting > MAX_CHANCE
    return None if is_chance else WaitingOutcomes(last, (newest - last).days, waiting)
