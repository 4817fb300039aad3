"""How rows usually arrive, as a reference shows it: on which days, after how long a silence, and how many."""

import datetime as dt
import math
import statistics
from collections.abc import Mapping, Set
from dataclasses import dataclass
from itertools import groupby

import polars as pl

ONE_DAY = dt.timedelta(days=1)
KNOWN_SILENCES = 2  # times the longest silence of the reference: so long a one is no fault yet
MIN_DEVIATE = 5.0  # standard deviations, if rows came by chance alone: a limit for days of fewer than 50 rows


@dataclass(frozen=True)
class UsualArrivals:
    """How rows arrive on the days of a reference; without one, on each day.

    Attributes:
        closed_weekdays: The days of the week (0 for Monday) on which none arrive.
        silent_days: The most other days on end without rows.
        day_share: The share of the other days that have rows, 0 to 1.
        least: The fewest rows of a day that has any, as a multiple of the usual day's.
        most: The most rows of a day, likewise.
    """

    closed_weekdays: frozenset[int] = frozenset()
    silent_days: int = 0
    day_share: float = 1.0
    least: float = 1.0
    most: float = 1.0

    def count_silent_days(self, counts: Mapping[dt.date, int], day: dt.date) -> int:
        """Count the days on end without rows up to a day.

        Args:
            counts: The number of rows of each day that has any.
            day: The last of these days.

        Returns:
            How many of them, since the last day with rows, could have had some.
        """
        last = max((each for each in counts if each <= day), default=day)
        return sum(each.weekday() not in self.closed_weekdays for each in _list_days(last + ONE_DAY, day))

    def is_unusual_silence(self, silent_days: int, usual: float) -> bool:
        """Tell whether days on end without rows are a fault.

        Args:
            silent_days: How many, as `count_silent_days` returns it.
            usual: The rows of a usual day that has any.

        Returns:
            Whether the reference shows no such silence, nor chance explains it.
        """
        expected = silent_days * self.day_share * usual
        return silent_days > KNOWN_SILENCES * self.silent_days and abs(compute_deviate(0, expected)) > MIN_DEVIATE


def learn_arrivals(days: pl.Series, unknown: Set[dt.date] = frozenset()) -> UsualArrivals:
    """Learn how rows arrive.

    Args:
        days: The day of each row of a reference, Date [n].
        unknown: Days that the reference has no rows of, whether or not any arrived.

    Returns:
        What its days show. Its first and its last day, of which it may have a part, don't count for the numbers of
        rows.
    """
    counts = dict(days.value_counts().iter_rows())
    if not counts:
        return UsualArrivals()
    every, skipped = _list_days(min(counts), max(counts)), unknown - counts.keys()
    closed = {day.weekday() for day in every if day not in skipped} - {day.weekday() for day in counts}
    known = [day in counts for day in every if day.weekday() not in closed and day not in skipped]
    silences = [len(list(group)) for has_rows, group in groupby(known) if not has_rows]
    rows = [counts[day] for day in sorted(counts)][1:-1] or [1]
    usual = statistics.median(rows)
    share = sum(known) / len(known)
    return UsualArrivals(frozenset(closed), max(silences, default=0), share, min(rows) / usual, max(rows) / usual)


def compute_deviate(rows: float, expected: float) -> float:
    """Compute how far a number of rows is from the expected one.

    Args:
        rows: The number of rows.
        expected: How many are expected.

    Returns:
        The distance in standard deviations, negative for too few, if each row came by chance alone.

    Source:
        Freeman, Tukey, "Transformations related to the angular and the square root", Annals of Mathematical Statistics
        21, 1950.
    """
    return math.sqrt(rows) + math.sqrt(rows + 1) - math.sqrt(4 * expected + 1)


def _list_days(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + number * ONE_DAY for number in range((last - first).days + 1)]
