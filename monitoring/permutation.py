"""Permutation test of the latest days against the reference, with the day as its unit.

The latest days are put back among the reference's, and all of them are put in a random order, again and again. Where
they could stand in any order, a statistic of them is beyond its limit with a probability of at most 1 in `one_in`,
whatever the statistic is, however the rows of a day depend on each other, and however few days there are. So it may
look at several stretches of days at once: one order serves all of them, and the largest of their ratios is judged like
any other statistic. A limit from the reference's days alone doesn't keep that promise: 59 days know too little of rare
ones (windows of real data were beyond it three times as often). One order fewer may be beyond the limit than the
promise allows: what the reference alone has decided, such as the bins of a column, makes it and the window a little
less alike.

Source: Pitman, 1937; Lehmann, Romano, *Testing Statistical Hypotheses*, chapter 15; Phipson, Smyth, 2010, for counting
the days as they were as one of the draws; for the ratios Westfall, Young, *Resampling-Based Multiple Testing*, 1993.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

MIN_PERMUTATIONS, PERMUTATIONS_PER_ALARM = 1000, 5
KEPT_DRAWS = 8  # of orders: the kinds of alarm, and window after window, ask for the same ones
STRETCH_WINDOWS = (1, 2, 4, 8)  # how many of the latest windows are judged together
LEAST_PART = 0.5  # of a longer stretch's change: as much must its last window show, or it doesn't count
MIN_PART_ROWS = 0.25  # of the window's rows a day: a memory ends where an earlier part of it has fewer
ROUNDING = 1e-9  # relative: orders that draw the same days are no further apart


def list_stretches(known: Sequence[bool] | np.ndarray, window_days: int) -> list[int]:
    """List the lengths of the stretches that end today: one, two, four and eight windows, as far back as is known.

    Args:
        known: Of each of the latest days, in the order of time, whether anything is known of it, bool [days].
        window_days: The number of days of a window.

    Returns:
        The lengths in days, ascending; the first is the window, or as many of its days as are known.
    """
    days = len(known) - int(np.argmax([*known, True]))
    return [min(days, window_days), *(n * window_days for n in STRETCH_WINDOWS[1:] if n * window_days <= days)]


def thin_parts(rows: np.ndarray, sizes: Sequence[int]) -> tuple[int, float, np.ndarray]:
    """Compute how to make days alike that have other numbers of rows.

    Days can stand in any order only where they have about as many rows: fewer rows are further from anything, by chance
    alone. So each part of the stretches, from one's end to the next one's, keeps as many rows a day as the sparsest.

    Args:
        rows: The rows of each day that has any, the latest first, float64 [days].
        sizes: How many of these days are in each stretch, ascending.

    Returns:
        How many of the stretches can be judged, as an earlier part with few rows ends them; the rows a day of all of
        their parts; and the share of its rows that each of their days keeps, float64 [days].
    """
    parts = [rows[begin:end] for begin, end in pairwise([0, *sizes])]
    usual = np.array([part.mean() if len(part) else np.inf for part in parts])
    known = int(np.argmin([*(usual >= MIN_PART_ROWS * usual[0]), False]))
    level = float(usual[:known].min())
    shares = [
        np.full(len(part), min(1.0, level / mean)) for part, mean in zip(parts[:known], usual[:known], strict=True)
    ]
    return known, level, np.concatenate(shares)


def count_memory_days(window_days: int) -> int:
    """Count the latest days that a verdict looks at, those of the window included.

    Args:
        window_days: The number of days of a window.

    Returns:
        The length of the longest stretch.
    """
    return STRETCH_WINDOWS[-1] * window_days


@lru_cache(maxsize=KEPT_DRAWS)
def draw_orders(days: int, one_in: float, seed: int) -> np.ndarray:
    """Draw the place of each day in a random order of all of them, again and again.

    Args:
        days: The number of days.
        one_in: The promise that the limit must resolve: there are at least five orders for each alarm.
        seed: Seed of the draws.

    Returns:
        The place of each day, from 0: int64 [orders, days], read-only. The first order is the days as they were.
    """
    places = np.tile(np.arange(days), (max(MIN_PERMUTATIONS, round(PERMUTATIONS_PER_ALARM * one_in)), 1))
    orders = np.append(places[:1], np.random.default_rng(seed).permuted(places[1:], axis=1), axis=0)
    orders.flags.writeable = False
    return orders


def draw_permutations(window_days: int, reference_days: int, one_in: float, seed: int) -> np.ndarray:
    """Draw as many days as the window has from those of window and reference together, again and again.

    Args:
        window_days: The number of days of the window.
        reference_days: The number of days of the reference.
        one_in: The promise that the limit must resolve.
        seed: Seed of the draws.

    Returns:
        Which days are drawn, bool [permutations, window_days + reference_days], the window's days first. The first
        permutation is the window as it was.
    """
    return draw_orders(window_days + reference_days, one_in, seed) < window_days


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
    return np.asarray(np.partition(statistics, -(above + 1), axis=0)[-(above + 1)])


def compute_simultaneous_limits(statistics: np.ndarray, one_in: float) -> np.ndarray:
    """Compute a limit for each of several statistics, of which in fewer than 1 in `one_in` permutations any is beyond.

    Each has its own limit, and all of these are raised by one factor.

    Args:
        statistics: Of each permutation, float64 [permutations, ...].
        one_in: The promise.

    Returns:
        The limits, float64 [...]; 0 where a statistic is hardly ever above 0 and can't be judged.
    """
    scale = np.maximum(compute_permutation_limit(statistics, one_in), 0)
    ratios = np.divide(statistics, scale, out=np.zeros_like(statistics), where=scale > 0)
    factor = compute_permutation_limit(ratios.reshape(len(ratios), -1).max(axis=1), one_in)
    return np.asarray(scale * factor * (1 + ROUNDING))
