"""Permutation test of a window against the reference, with the day as its unit.

The window is put back among the reference's days, and as many days as it has are drawn from all of them, again and
again. Where the days of reference and window could stand in any order, the window's statistic is beyond the limit with
a probability of at most 1 in `one_in`, whatever the statistic is, however the rows of a day depend on each other, and
however few days there are. A limit from the reference's days alone doesn't keep that promise: 59 days know too little
of rare ones (windows of real data were beyond it three times as often). One permutation fewer may be beyond the limit
than the promise allows: what the reference alone has decided, such as the bins of a column, makes it and the window a
little less alike.

Source: Pitman, 1937; Lehmann, Romano, *Testing Statistical Hypotheses*, chapter 15; Phipson, Smyth, 2010, for counting
the window itself as one of the draws.
"""

import math

import numpy as np

MIN_PERMUTATIONS, PERMUTATIONS_PER_ALARM = 1000, 5


def draw_permutations(window_days: int, reference_days: int, one_in: float, seed: int) -> np.ndarray:
    """Draw as many days as the window has from those of window and reference together, again and again.

    Args:
        window_days: The number of days of the window.
        reference_days: The number of days of the reference.
        one_in: The promise that the limit must resolve: there are at least five permutations for each alarm.
        seed: Seed of the draws.

    Returns:
        Which days are drawn, bool [permutations, window_days + reference_days], the window's days first. The first
        permutation is the window as it was.
    """
    pool = window_days + reference_days
    random = np.random.default_rng(seed).random((max(MIN_PERMUTATIONS, round(PERMUTATIONS_PER_ALARM * one_in)), pool))
    random[0] = np.arange(pool)
    drawn = np.zeros(random.shape, bool)
    np.put_along_axis(drawn, np.argsort(random, axis=1)[:, :window_days], True, axis=1)
    return drawn


def has_enough_days(window_days: int, reference_days: int, one_in: float) -> bool:
    """Say whether any window of so many days could be beyond the limit.

    So many days can be drawn in so many different ways alone; with few of them the window itself is drawn again and
    again, and can't be rarer than the promise asks for.

    Args:
        window_days: The number of days of the window.
        reference_days: The number of days of the reference.
        one_in: The promise.

    Returns:
        Whether it could.
    """
    permutations = max(MIN_PERMUTATIONS, round(PERMUTATIONS_PER_ALARM * one_in))
    above = math.ceil(permutations / one_in) - 1
    return math.comb(window_days + reference_days, window_days) * above >= permutations


def compute_permutation_limit(statistics: np.ndarray, one_in: float) -> np.ndarray:
    """Compute the limit that fewer than 1 in `one_in` of the permutations exceed.

    Args:
        statistics: A statistic of each permutation, float64 [permutations, ...].
        one_in: The promise.

    Returns:
        The limit, float64 [...].
    """
    above = math.ceil(len(statistics) / one_in) - 1
    return np.asarray(np.sort(statistics, axis=0)[-(above + 1)])
