"""Distances between distributions: Kolmogorov-Smirnov of samples, Jensen-Shannon of counts by bin."""

from collections.abc import Sequence

import numpy as np

MIN_SQUARED_DISTANCE = 1e-9  # a squared Jensen-Shannon distance up to this is rounding


def compute_ks_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Compute the two-sample Kolmogorov-Smirnov distance, the largest over the columns.

    Args:
        first: float64 [n, k].
        second: float64 [m, k].

    Returns:
        The largest difference of the empirical distribution functions, from 0 to 1.
    """
    return max(_largest_gap(np.sort(one), np.sort(other)) for one, other in zip(first.T, second.T, strict=True))


def _largest_gap(first: np.ndarray, second: np.ndarray) -> float:
    both = np.append(first, second)
    shares = [np.searchsorted(values, both, side="right") / len(values) for values in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


def compute_js_distances(drawn: np.ndarray, total: np.ndarray, starts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Compute the Jensen-Shannon distance between some counts and all others, by column.

    Args:
        drawn: Counts by bin, float64 [draws, bins], with the bins of several columns side by side.
        total: The counts of which they are a part, float64 or int64 [bins] or [draws, bins].
        starts: The first bin of each column, ascending.

    Returns:
        float64 [draws, columns]: 0 where the shares of rows in the bins are the same, 1 where they have nothing in
        common.

    Source:
        Lin, "Divergence measures based on the Shannon entropy", 1991; its root is a metric: Endres & Schindelin, "A new
        metric for probability distributions", 2003.
    """
    first, second = (compute_bin_shares(counts, starts) for counts in (drawn, total - drawn))
    less = (_weigh_surprise(first) + _weigh_surprise(second)) / 2 - _weigh_surprise((first + second) / 2)
    squared = np.add.reduceat(less, starts, axis=1)
    return np.sqrt(np.where(squared > MIN_SQUARED_DISTANCE, squared, 0))


def compute_bin_shares(counts: np.ndarray, starts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Divide counts by the sum over their column's bins.

    Args:
        counts: Counts by bin, float64 [draws, bins], with the bins of several columns side by side.
        starts: The first bin of each column, ascending.

    Returns:
        float64 [draws, bins]; 0 in a column without rows.
    """
    rows = np.add.reduceat(counts, starts, axis=1)
    sizes = np.diff([*starts, counts.shape[1]])
    return counts / np.repeat(np.maximum(rows, 1), sizes, axis=1)


def _weigh_surprise(shares: np.ndarray) -> np.ndarray:
    """What each bin takes from the entropy, in bits."""
    bits = np.maximum(shares, np.finfo(float).tiny)
    np.log2(bits, out=bits)
    return np.multiply(bits, shares, out=bits)
