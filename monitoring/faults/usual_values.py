"""What values a column usually has: how many are missing, and which there are of text."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from penumbra.core.columns import DAY_COLUMN, SHARE_COLUMN, VALUE_COLUMN

NULL_SHARE_MARGIN = 0.1  # missing values more than ever on a day of the reference: as many are no fault yet
NULL_SHARE_SPREADS = 2  # or, of few days, so many standard deviations of their shares
MIN_NEW_VALUE_SHARE = 0.01  # of a day's rows, of a value that was never seen
MIN_VALUE_ROWS = 10  # rows of a value that was always there and isn't, or never was and is
MAX_NEW_VALUES_SHARE = 0.1  # of values, in the later half of the reference: where more are new, any may be
TURNOVER_FACTOR = 2  # so many times the rows that came or went with a value in the reference are no fault yet
MIN_VARYING_VALUES = 3  # where there were never fewer different values in a day, one alone is suspicious
MIN_KNOWN_SPANS = 20  # spans of days; of fewer the extremes are little known, and limits are twice as far away


class Turnover(NamedTuple):
    """How the values of a column come and go in the reference.

    Attributes:
        share: The largest share of a day's rows that a value had which came, or usually has which went.
        is_open: Whether many values came, so that any may.
    """

    share: float
    is_open: bool


def learn_null_limit(shares: Sequence[float]) -> tuple[float, float]:
    """Learn how many values of a column may be missing.

    Args:
        shares: The share of missing values on each day, or in each span of days.

    Returns:
        The largest share, and the limit, which of few days is further beyond it where they differ.
    """
    usual, margin = max(shares), NULL_SHARE_MARGIN
    if len(shares) < MIN_KNOWN_SPANS:
        margin = 2 * max(margin, NULL_SHARE_SPREADS * statistics.stdev(shares))
    return usual, usual + margin


def learn_categories(rows: pl.DataFrame, name: str, days: int) -> pl.DataFrame:
    """Learn the values of a column of text.

    Args:
        rows: Rows with the day, or the first of the span of days, in `penumbra.day`.
        name: The column.
        days: The number of days.

    Returns:
        A row for each value (`penumbra.value`): its mean share of a day's rows (`penumbra.share`), and the share of the
        days that had it (`penumbra.day`).
    """
    value = pl.col(name).cast(pl.String).alias(VALUE_COLUMN)
    sizes = rows.group_by(DAY_COLUMN).agg(all=pl.len())
    counts = (
        rows.group_by(DAY_COLUMN, value, maintain_order=True)
        .len()
        .drop_nulls()
        .join(sizes, on=DAY_COLUMN, maintain_order="left")
    )
    share = ((pl.col("len") / pl.col("all")).sum() / days).alias(SHARE_COLUMN)
    return (
        counts.group_by(VALUE_COLUMN, maintain_order=True)
        .agg(share, (pl.len() / days).alias(DAY_COLUMN))
        .sort(VALUE_COLUMN)
    )


def learn_turnover(days: Sequence[pl.DataFrame], name: str) -> Turnover:
    """Learn how the values of a column of text come and go within a reference.

    Args:
        days: The rows of each day, or of each span of days, ascending, two at least.
        name: The column.

    Returns:
        What the later half shows beside the earlier one.
    """
    half = len(days) // 2
    before = learn_categories(pl.concat(days[:half]), name, half)
    always = dict(before.filter(pl.col(DAY_COLUMN) == 1).select(VALUE_COLUMN, SHARE_COLUMN).iter_rows())
    seen, new, largest = set(before[VALUE_COLUMN]), set[str](), 0.0
    for day in days[half:]:
        counts = dict(day[name].cast(pl.String).drop_nulls().value_counts().iter_rows())
        came, went = counts.keys() - seen, always.keys() - counts.keys()
        largest = max([largest, *(counts[value] / day.height for value in came), *(always[value] for value in went)])
        new |= came
    return Turnover(largest, len(new) >= max(MIN_VARYING_VALUES, MAX_NEW_VALUES_SHARE * len(seen)))
