"""Faults of how rows arrive: too few, too many, none at all, or too many that break the contract."""

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np

from monitoring.faults.data_faults import MIN_VALUE_ROWS, DataFault
from monitoring.faults.usual_arrivals import MIN_DEVIATE, ONE_DAY, UsualArrivals, compute_deviate
from penumbra.core.columns import UNKNOWN_FIELD
from penumbra.core.text.counts import format_count, format_share

STALE_KEY = "stale"  # in a verdict's evidence: the last day with any rows
REFUSED_SHARE_MARGIN = 0.05  # of what was asked, above any day before
MIN_HISTORY_DAYS = 7  # days with rows before a volume is judged
MIN_VOLUME_RATIO, MAX_VOLUME_RATIO = 0.4, 2.5  # times the usual volume
VOLUME_MARGIN = 2  # times fewer or more than on any day of the reference: so few or many are no fault yet
MAX_SILENT_DAYS = 2  # since the last day with rows: so long, nobody asks whether any still arrive


def find_volume_faults(counts: Mapping[dt.date, int], day: dt.date, arrivals: UsualArrivals) -> list[DataFault]:
    """Find a day whose number of rows is far from that of the days before it, and of the reference's.

    Args:
        counts: The number of rows of each day that has any.
        day: The day to judge.
        arrivals: How rows arrive on the reference's days.

    Returns:
        One fault, or none; none before there are seven earlier days with rows.
    """
    before = _list_rows_before(counts, day)
    if len(before) < MIN_HISTORY_DAYS:
        return []
    usual, rows = float(np.median(before)), counts.get(day, 0)
    few, many = "a client or a source fell away", "rows are sent twice, or a new client began"
    if not rows:
        silent = arrivals.count_silent_days(counts, day)
        text = f"no rows{'' if silent == 1 else f' on {silent} days'}, where a day has {usual:,.0f}"
        return [DataFault("volume", "", text, few)] if arrivals.is_unusual_silence(silent, usual) else []
    low = min(MIN_VOLUME_RATIO, arrivals.least / VOLUME_MARGIN)
    high = max(MAX_VOLUME_RATIO, arrivals.most * VOLUME_MARGIN)
    if low * usual <= rows <= high * usual or abs(compute_deviate(rows, usual)) <= MIN_DEVIATE:
        return []
    cause = few if rows < usual else many
    return [DataFault("volume", "", f"{format_count(rows, 'row')}, where a day has {usual:,.0f}", cause)]


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
    text = f"{format_share(share, 0)} of what was asked broke the contract ({format_count(records, 'record')}), {by}"
    return [DataFault("refused", column, text, "another unit, or a client that changed")]


def find_staleness_faults(counts: Mapping[dt.date, int], today: dt.date, arrivals: UsualArrivals) -> list[DataFault]:
    """Find out whether rows have stopped arriving.

    Args:
        counts: The number of rows of each day that has any; days after `today` don't count.
        today: The day to judge from, which isn't over.
        arrivals: How rows arrive on the reference's days.

    Returns:
        One fault where the last day with rows is more than two days before `today`, and the reference shows no such
        silence; or none.
    """
    last, yesterday = max((day for day in counts if day <= today), default=today), today - ONE_DAY
    silent, before = arrivals.count_silent_days(counts, yesterday), _list_rows_before(counts, today)
    if (today - last).days <= MAX_SILENT_DAYS or not arrivals.is_unusual_silence(silent, float(np.median(before))):
        return []
    text = f"the last rows are of {last}, {format_count((today - last).days, 'day')} before {today}"
    return [DataFault("stale", "", text, "nothing is asked any more, or the log isn't written")]


def _list_rows_before(counts: Mapping[dt.date, int], day: dt.date) -> list[int]:
    """The numbers of rows of the last 28 days before a day that have any."""
    return [counts[each] for each in sorted(counts) if each < day][-4 * MIN_HISTORY_DAYS :]
