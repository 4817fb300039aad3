"""Confidence limits of a proportion: the share of rows that have something, such as a correct answer.

A bootstrap of days says little of proportions near 0 or 1: where no row, or those of one day alone, differ from the
others, most draws are of days that are all alike, and the interval is a point or everything. Wilson's interval stays
between 0 and 1 and is never a point. It takes the number of independent rows that would say as much (the rows over
their design effect). The variance over days that this comes from counts the day that pulls the proportion most once
more, as what no day had may be had by the next one. Where no row differs, each day is one row.

How often it holds the truth is simulated in tests/training/evaluation/test_rate_intervals.py.

Source:
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927; Korn and Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated from survey data",
    Survey Methodology 24(2), 1998 (effective number of rows, Student's t).
"""

import math

import numpy as np


def compute_wilson_limits(rate: float, rows: float, reach: float) -> tuple[float, float]:
    """Compute Wilson's confidence limits of a proportion.

    Args:
        rate: The share of the rows, 0 to 1.
        rows: How many independent rows it is of, above 0; may be infinite.
        reach: How many standard errors the interval reaches to either side; may be infinite.

    Returns:
        Lower and upper limit, each 0 to 1, with `rate` between them.
    """
    if math.isinf(reach):
        return 0.0, 1.0
    share = reach**2 / rows
    middle = (rate + share / 2) / (1 + share)
    distance = math.sqrt(share * rate * (1 - rate) + share**2 / 4) / (1 + share)
    return max(min(middle - distance, rate), 0.0), min(max(middle + distance, rate), 1.0)


def compute_clustered_limits(
    rate: float, rows: float, pulls: np.ndarray, error: float, reach: float
) -> tuple[float, float]:
    """Compute confidence limits of a proportion of rows in clusters, such as days.

    Args:
        rate: The share of the rows, 0 to 1.
        rows: The number of rows, at least 1.
        pulls: How far each cluster moves the rate: the sum of its rows' distances from it, over all rows;
            float64 [clusters].
        error: The standard error of the rate over clusters.
        reach: How many standard errors the interval reaches to either side.

    Returns:
        Lower and upper limit, each 0 to 1, with `rate` between them.
    """
    if rate in (0, 1):
        return compute_wilson_limits(rate, min(rows, len(pulls)), reach)
    variance = error**2 + float(np.abs(pulls).max()) ** 2
    effective = min(rows, rate * (1 - rate) / variance) if variance > 0 else rows
    return compute_wilson_limits(rate, effective, reach)
