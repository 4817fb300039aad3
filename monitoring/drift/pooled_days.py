"""Comparison of some days of a pool with others, from their counts by bin.

Two statistics compare a column: the distance of Jensen and Shannon between the shares of rows in groups of bins, null
included, which sees any change of shape; and for numbers the shift, the difference of mean ranks, which sees a small
change of level sooner. Both are 0 where days are alike and 1 at most. A rank is the share of the pool's values that are
smaller, half of those in the same bin included; nulls have none.

Source: Lin, "Divergence measures based on the Shannon entropy", 1991; for its root Endres, Schindelin, "A new metric
for probability distributions", 2003; for ranks Wilcoxon, "Individual comparisons by ranking methods", 1945.
"""

from dataclasses import dataclass

import numpy as np

from penumbra.core.histograms import Binning
from penumbra.core.metrics.distances import compute_bin_shares, compute_js_distances

MAX_GROUPS = 16  # of a column's bins, besides that of nulls
MIN_SHARE = 1e-12


@dataclass(frozen=True)
class DaySums:
    """The rows of sets of days.

    Attributes:
        counts: The number of rows by group of bins, float64 [sets, groups].
        ranks: The mean rank in each column of numbers, float64 [sets, numbers]; a half without values.
    """

    counts: np.ndarray
    ranks: np.ndarray


@dataclass(frozen=True)
class PooledDays:
    """Daily counts, with the bins of each column merged into at most sixteen groups and one of nulls.

    Of numbers the groups have about equal shares of the pool; of categories the most frequent ones stay, and the rare
    and unknown ones are one.

    Attributes:
        counts: The number of rows by group, float64 [days, groups].
        starts: The first group of each column, int64 [columns]; columns of numbers come first.
        ranks: The sum of ranks in each column of numbers, float64 [days, numbers].
        values: The number of values in each, float64 [days, numbers].
    """

    counts: np.ndarray
    starts: np.ndarray
    ranks: np.ndarray
    values: np.ndarray

    @classmethod
    def from_counts(cls, counts: np.ndarray, binning: Binning) -> "PooledDays":
        """Merge the bins of profiles.

        Args:
            counts: The counts of each day's profile, int64 [days, size of the binning].
            binning: The bins, of at least one column.

        Returns:
            The days.
        """
        total = counts.sum(axis=0)
        ranks, groups = np.full(binning.size, np.nan), np.full(binning.size, MAX_GROUPS)
        for number, (name, span) in enumerate(binning.columns.items()):
            values = slice(span.start, span.stop - 1)
            if name in binning.edges:
                ranks[values] = _compute_ranks(total[values])
                groups[values] = np.minimum(MAX_GROUPS * ranks[values], MAX_GROUPS - 1)
            else:
                groups[values] = _group_categories(total[values], len(counts))
            groups[span] += number * (MAX_GROUPS + 1)
        numbers = slice(len(binning.edges))
        sums, known = (
            np.add.reduceat(counts * each, binning.starts, axis=1)[:, numbers]
            for each in (np.nan_to_num(ranks), np.isfinite(ranks))
        )
        return cls(*_merge_bins(counts, groups, np.array(binning.starts)), sums, known.astype(float))

    def sum_days(self, chosen: np.ndarray) -> DaySums:
        """Sum the rows of sets of days.

        Args:
            chosen: Which days are in each set, bool [sets, days].

        Returns:
            Their sums.
        """
        days = chosen.astype(float)
        values = days @ self.values
        ranks = np.divide(days @ self.ranks, values, out=np.full_like(values, 0.5), where=values > 0)
        return DaySums(days @ self.counts, ranks)

    def compute_distances(self, one: DaySums, other: DaySums) -> np.ndarray:
        """Compute how far sets of days are from others.

        Args:
            one: The sums of sets of days.
            other: Those of as many other sets.

        Returns:
            The Jensen-Shannon distance of each column, then the shift of each column of numbers: float64 [sets, columns
            + numbers].
        """
        distances = compute_js_distances(one.counts, one.counts + other.counts, self.starts)
        return np.hstack([distances, np.abs(one.ranks - other.ranks)])

    def compute_part(self, sets: DaySums, other: DaySums) -> np.ndarray:
        """Compute how far some days have gone the way that sets of days, which contain them, have gone from others.

        Args:
            sets: The sums of sets of days, the first of which is a part of each.
            other: The sums of one set that all are compared with.

        Returns:
            In each column, as a part of the way from the other days' shares of rows to the set's: float64 [sets,
            columns]; 1 where the first set has the same shares, negative where it has gone the other way.
        """
        goal, usual = (compute_bin_shares(each.counts, self.starts) for each in (sets, other))
        weights = np.maximum(goal + usual, MIN_SHARE)
        gone = np.add.reduceat((goal[:1] - usual) * (goal - usual) / weights, self.starts, axis=1)
        way = np.add.reduceat((goal - usual) ** 2 / weights, self.starts, axis=1)
        return np.divide(gone, way, out=np.ones_like(way), where=way > 0)


def _compute_ranks(counts: np.ndarray) -> np.ndarray:
    """The mean rank of the values in each bin, 0 to 1: float64 [bins]."""
    return np.asarray((np.cumsum(counts) - counts / 2) / max(counts.sum(), 1))


def _group_categories(counts: np.ndarray, days: int) -> np.ndarray:
    """The group of each category, the last of which is all that the reference hasn't: int64 [bins]. That one, the rare
    ones (fewer rows than days) and those beyond the fifteenth are a group together: the categories are learnt from the
    reference, so that only later days can have unknown ones."""
    ranks = np.argsort(np.argsort(-counts, kind="stable"))
    alone = (ranks < MAX_GROUPS - 1) & (counts >= days) & (np.arange(len(counts)) < len(counts) - 1)
    return np.where(alone, ranks, MAX_GROUPS - 1)


def _merge_bins(counts: np.ndarray, groups: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum the bins of each group, float64 [days, groups]; and find the first group of each column."""
    order = np.argsort(groups, kind="stable")
    named, first = np.unique(groups[order], return_index=True)
    columns = np.searchsorted(named, groups[starts] // (MAX_GROUPS + 1) * (MAX_GROUPS + 1))
    return np.add.reduceat(counts[:, order], first, axis=1).astype(float), columns
