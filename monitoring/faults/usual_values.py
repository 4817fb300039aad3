"""What values a column usually has: how many are missing, and which there are of text."""

import statistics
from collections.abc import Sequence

import polars as pl

from penumbra.core.columns import DAY_COLUMN, SHARE_COLUMN, VALUE_COLUMN

NULL_SHARE_MARGIN = 0.1  # missing values more than ever on a day of the reference: as many are no fault yet
NULL_SHARE_SPREADS = 2  # or, of few days, so many standard deviations of their shares
MIN_NEW_VALUE_SHARE = 0.01  # of a day's rows, of a value that was never seen
MIN_VALUE_ROWS = 10  # rows of a value that was always there and isn't, or never was and is
MAX_NEW_VALUES_SHARE = 0.1  # of values, in the later half of the reference: where more are new, any may be
MIN_VARYING_VALUES = 3  # where there were never fewer different values in a day, one alone is suspicious
MIN_KNOWN_SPANS = 20  # spans of days; of fewer the extremes are little known, and limits are twice as far away


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
    counts = rows.group_by(DAY_COLUMN, value).len().drop_nulls().join(sizes, on=DAY_COLUMN)
    share = ((pl.col("len") / pl.col("all")).sum() / days).alias(SHARE_COLUMN)
    return counts.group_by(VALUE_COLUMN).agg(share, (pl.len() / days).alias(DAY_COLUMN)).sort(VALUE_COLUMN)


def has_turnover(days: Sequence[pl.DataFrame], name: str) -> bool:
    """Tell whether the values of a column come and go within a reference.

    Args:
        days: The rows of each day, ascending, two at least.
        name: The column.

    Returns:
        Whether in the later half many values are new, or with one as many rows come or go as would be a fault.
    """
    half = len(days) // 2
    before = learn_categories(pl.concat(days[:half]), name, half)
    always = before.filter(pl.col(DAY_COLUMN) == 1)
    seen = set(before[VALUE_COLUMN])
    new = set(pl.concat(days[half:])[name].cast(pl.String).drop_nulls()) - seen
    if len(new) >= max(MIN_VARYING_VALUES, MAX_NEW_VALUES_SHARE * len(seen)):
        return True
    for day in days[half:]:
        counts = dict(day[name].cast(pl.String).drop_nulls().value_counts().iter_rows())
        least = max(MIN_NEW_VALUE_SHARE * day.height, MIN_VALUE_ROWS)
        gone = always.filter(pl.col(SHARE_COLUMN) * day.height >= MIN_VALUE_ROWS)[VALUE_COLUMN]
        if not set(gone) <= counts.keys() or any(counts[value] > least for value in counts.keys() - seen):
            return True
    return False
