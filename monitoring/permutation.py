"""How unusual is a window? It is put back among the reference's days and as many days are drawn from all of them, again
and again: a permutation test with the day as its unit (Pitman, 1937; Lehmann, Romano, *Testing Statistical Hypotheses*,
chapter 15; Phipson, Smyth, 2010, for counting the window itself as one of the draws).

Where the days of reference and window could stand in any order, the window's statistic is beyond the limit with a
probability of at most 1 in `one_in`, whatever the statistic is, however the rows of a day lean on each other, and
however few days there are. A limit from the reference's days alone doesn't keep that promise: 59 days know too little
of rare ones (windows of the flights were beyond it three times as often). One replay fewer may be beyond the limit than
the promise allows: what the reference alone has decided, such as the bins of a column, makes it and the window a little
less alike.
"""

import math

import numpy as np

MIN_PERMUTATIONS, PERMUTATIONS_PER_ALARM = 1000, 5


def draw_permutations(window_days: int, reference_days: int, one_in: float, seed: int) -> np.ndarray:
    """Bool [replays, window_days + reference_days]: the days drawn into each; the first one is the window as it was,
    whose days stand at the front."""
    pool = window_days + reference_days
    random = np.random.default_rng(seed).random((max(MIN_PERMUTATIONS, round(PERMUTATIONS_PER_ALARM * one_in)), pool))
    random[0] = np.arange(pool)
    drawn = np.zeros(random.shape, bool)
    np.put_along_axis(drawn, np.argsort(random, axis=1)[:, :window_days], True, axis=1)
    return drawn


def compute_permutation_limit(statistics: np.ndarray, one_in: float) -> np.ndarray:
    """Of float64 [replays, …] what fewer than 1 in `one_in` of the replays exceed: float64 […]."""
    above = math.ceil(len(statistics) / one_in) - 1
    return np.asarray(np.sort(statistics, axis=0)[-(above + 1)])
