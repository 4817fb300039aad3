"""Faults of how rows arrive: too few, too many, none at all, or too many that break the contract."""

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np

from monitoring.faults.data_faults import MIN_VALUE_ROWS, DataFault
from penumbra.core.columns import UNKNOWN_FIELD

STALE_KEY = "stale"  # in a verdict's evidence: the last day with any rows
REFUSED_SHARE_MARGIN = 0.05  # of what was asked, above any day before
MIN_HISTORY_DAYS, MAX_VOLUME_RATIO, MIN_VOLUME_RATIO = (
    7,
    2.5,
    0.4,
)  # days before a volume is judged; times the usual volume


def find_volume_faults(counts: Mapping[dt.date, int], day: dt.date) -> list[DataFault]:
    """Find a day whose number of rows is far from that of the days before it.

    Args:
        counts: The number of rows of each day.
        day: The day to judge.

    Returns:
        One fault, or none; none before there are seven earlier days.
    """
    before = [counts[each] for each in sorted(counts) if each < day][-4 * MIN_HISTORY_DAYS :]
    if len(before) < MIN_HISTORY_DAYS:
        return []
    usual, rows = float(np.median(before)), counts.get(day, 0)
    if MIN_VOLUME_RATIO * usual <= rows <= MAX_VOLUME_RATIO * usual:
        return []
    cause = "a client or a source fell away" if rows < usual else "rows are sent twice, or a new client began"
    return [DataFault("volume", "", f"{rows:,} rows, where a day has {usual:,.0f}", cause)]


def find_refusal_faults(records: int, answered: int, field: str, before: Sequence[float]) -> list[DataFault]:
    """Find a day on which more records broke the contract than on any day before.

    What is refused is in no log, so a unit that leaves the contract's range shows here alone.

    Args:
        records: How many of the day's records broke the contract.
        answered: How many were answered.
        field: The column in which most of them broke it, or `UNKNOWN_FIELD`.
        before: The share of such records on each earlier day, 0 to 1.

    Returns:
        One fault, or none.
    """
    share = records / max(records + answered, 1)
    if records < MIN_VALUE_ROWS or share <= REFUSED_SHARE_MARGIN + max(before, default=0.0):
        return []
    by, column = (
        (f"mostly by {field}", field) if field != UNKNOWN_FIELD else ("mostly by fields that it doesn't have", "")
    )
    text = f"{share:.0%} of what was asked broke the contract ({records:,} records), {by}"
    return [DataFault("refused", column, text, "another unit, or a client that changed")]


def find_staleness_faults(last: dt.date | None, today: dt.date, days: int) -> list[DataFault]:
    """Find out whether rows have stopped arriving.

    Args:
        last: The last day with any rows; None where there was none.
        today: The day to judge from.
        days: How many days without rows are accepted.

    Returns:
        One fault where `last` is more than `days` days before `today`, or none.
    """
    if last is None or (today - last).days <= days:
        return []
    text = f"the last rows are of {last}, {(today - last).days} days before {today}"
    return [DataFault("stale", "", text, "nothing is asked any more, or the log isn't written")]
