"""Drift of a window: are its rows, and those of the windows before it, distributed as in the model's own reference?

The window is judged, and the last two, four and eight windows together, so that a small change shows once it has
lasted. Each column is compared by the distance and, for numbers, the shift of pooled_days.py. One permutation of days
(see permutation.py) judges all of these together: a statistic's threshold is its own limit over the permutations,
raised by one factor for all, so that the largest ratio to its threshold keeps the promise. Two rules only take alarms
away. A threshold is no less than the largest distance of such stretches of the reference's own days from the rest of
it, where that is at least as long: a cold spell is no drift where the reference had its like. And a longer stretch
counts where its last window has gone at least half of its way, so that no alarm outlasts its cause.

It assumes that without drift the days could stand in any order. Seasons break that and count as drift here. How often
that raises an alarm is in docs/monitoring-statistics.md.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.drift.pooled_days import PooledDays
from monitoring.permutation import LEAST_PART, compute_simultaneous_limits, draw_orders, list_stretches, thin_parts
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile
from penumbra.core.text.counts import format_count

MIN_THRESHOLD = 1e-9
PREDICTIONS = "the predictions"  # among the names of columns
ORDERS_AT_ONCE = 250  # whose sums stay in the processor's cache


@dataclass(frozen=True)
class ColumnDrift:
    """The drift of one column, by the measure and the days that are nearest to an alarm.

    Attributes:
        distance: Distance from the reference, 0 to 1: of Jensen and Shannon, or the shift.
        threshold: The largest distance that is no alarm.
        days: Over how many of the latest days; None, in records of earlier versions, for the window's own.
        shift: "higher" or "lower" where the distance is the shift of its values, else "".
    """

    distance: float
    threshold: float
    days: int | None = None
    shift: str = ""

    @property
    def ratio(self) -> float:
        """Distance divided by threshold; above 1 is an alarm."""
        return self.distance / max(self.threshold, MIN_THRESHOLD)


@dataclass(frozen=True)
class DriftResult:
    """The drift of a window.

    A column without a value, or with the same value in every row of window and reference, can't be compared and is
    absent.

    Attributes:
        columns: The drift of each column of the rows, by the statistic and stretch that is nearest to an alarm.
        prediction: The drift of the predictions.
        column: The column with the largest ratio of distance to threshold, or "the predictions"; "" where nothing was
            compared.
        largest: Its drift; None where nothing was compared.
    """

    columns: dict[str, ColumnDrift]
    prediction: ColumnDrift | None
    column: str = ""
    largest: ColumnDrift | None = None

    @property
    def ratio(self) -> float:
        """The largest ratio of distance to threshold; 0 where nothing was compared."""
        return self.largest.ratio if self.largest else 0.0

    def __str__(self) -> str:
        days = f" over the last {format_count(self.largest.days, 'day')}" if self.largest and self.largest.days else ""
        count = len(self.columns) + (self.prediction is not None)
        return f"{self.column or 'nothing'} is at {self.ratio:.2f} of its threshold{days}, the most of {count}"


def compute_drift(
    recent: Sequence[Profile],
    reference: Sequence[Profile],
    binning: Binning,
    one_in: float,
    window_days: int,
    seed: int = 0,
) -> DriftResult:
    """Compare the distribution of the latest rows with that of the reference.

    Args:
        recent: A profile of each of the latest days in the order of time, the window's last; days without rows are
            among them. Of more than eight windows the last eight are judged.
        reference: A profile of each day of the reference, in the order of time.
        binning: The bins of the profiles.
        one_in: At most one in so many windows without drift raises an alarm. Where several kinds of alarm share a
            budget, each gets its part of it.
        window_days: The number of days of a window.
        seed: Seed of the permutations.

    Returns:
        Distances with thresholds; empty where window or reference have no rows, or the binning no columns.
    """
    backwards = recent[::-1]
    stretches = list_stretches([day.rows > 0 for day in recent], window_days)
    sizes = [sum(day.rows > 0 for day in backwards[:days]) for days in stretches]
    now, before = ([day for day in days if day.rows] for days in (backwards[: stretches[-1]], reference))
    if not (binning.size and sizes[0] and before):
        return DriftResult({}, None)
    known, level, shares = thin_parts(np.array([day.rows for day in now], float), sizes)
    stretches, sizes = stretches[:known], sizes[:known]
    usual = min(1.0, level / float(np.mean([day.rows for day in before])))
    days, kept = [*now[: sizes[-1]], *before], np.append(shares, np.full(len(before), usual))
    pool = PooledDays.from_counts(_thin_days(days, kept, seed), binning)
    far, thresholds, shifts = _judge_stretches(pool, sizes, one_in, seed)
    ratios = np.divide(far, thresholds, out=np.full_like(far, -1), where=thresholds > 0)
    found = dict[str, ColumnDrift]()
    for number, name in enumerate(binning.columns):
        mine = ratios[:, number :: len(binning.columns)]
        stretch, kind = np.unravel_index(mine.argmax(), mine.shape)
        if mine[stretch, kind] >= 0:
            at = stretch, number + kind * len(binning.columns)
            shift = ("higher" if shifts[stretch, number] > 0 else "lower") if kind else ""
            found[name] = ColumnDrift(float(far[at]), float(thresholds[at]), stretches[stretch], shift)
    return _build_result(found)


def list_recent_profiles(profiles: Mapping[dt.date, Profile], end: dt.date) -> list[Profile]:
    """List profiles day by day.

    Args:
        profiles: The profiles of the days that have rows.
        end: The day after the last.

    Returns:
        One for each day, in the order of time, from the first that has rows; without rows where a day has none.
    """
    first = min(profiles, default=end)
    days = [first + number * dt.timedelta(days=1) for number in range((end - first).days)]
    return [profiles.get(day, Profile(0, np.zeros(0))) for day in days]


def _build_result(found: dict[str, ColumnDrift]) -> DriftResult:
    column = max(found, key=lambda name: found[name].ratio, default="")
    largest = found.get(column)
    prediction = found.pop(PREDICTION_COLUMN, None)
    return DriftResult(found, prediction, PREDICTIONS if column == PREDICTION_COLUMN else column, largest)


def _judge_stretches(
    pool: PooledDays, sizes: Sequence[int], one_in: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each stretch, of so many of the pool's first days, and each statistic: the distance and its threshold, 0 where
    the distance doesn't count, float64 [stretches, statistics]; and the signed shifts, float64 [stretches, numbers]."""
    orders, longest = draw_orders(len(pool.counts), one_in, seed), sizes[-1]
    blocks = np.array_split(orders, -(-len(orders) // ORDERS_AT_ONCE))
    far = np.concatenate([_measure_stretches(pool, block, sizes) for block in blocks])
    calm = compute_simultaneous_limits(far, one_in)
    places = np.arange(len(pool.counts))
    before, seen = pool.sum_days(places[None] >= longest), pool.sum_days(places < np.array(sizes)[:, None])
    lasted = pool.compute_part(seen, before) >= LEAST_PART
    counts = np.hstack([lasted, lasted[:, : seen.ranks.shape[1]]])
    floors = np.stack([_find_largest_distances(pool, places >= longest, size) for size in sizes])
    thresholds = np.where(counts & (calm > 0), np.maximum(calm, floors), 0)
    return far[0], thresholds, seen.ranks - before.ranks


def _measure_stretches(pool: PooledDays, orders: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """The distances of the first days of each order from its last ones, float64 [orders, stretches, statistics]."""
    usual = pool.sum_days(orders >= sizes[-1])
    return np.stack([pool.compute_distances(pool.sum_days(orders < size), usual) for size in sizes], axis=1)


def _find_largest_distances(pool: PooledDays, reference: np.ndarray, size: int) -> np.ndarray:
    """Of each statistic the largest of any such stretch of the reference's days from the rest of it, float64
    [statistics]; 0 where the rest would be shorter."""
    first = np.flatnonzero(reference)[: reference.sum() - size + 1, None]
    if reference.sum() < 2 * size:
        return np.zeros(len(pool.starts) + pool.ranks.shape[1])
    places = np.arange(len(reference))
    within = (places >= first) & (places < first + size)
    distances = pool.compute_distances(pool.sum_days(within), pool.sum_days(reference & ~within))
    return np.asarray(distances.max(axis=0))


def _thin_days(days: Sequence[Profile], shares: np.ndarray, seed: int) -> np.ndarray:
    """The days' counts as they would be if only these shares of their rows were known."""
    counts = np.array([day.counts for day in days])
    return np.where(shares[:, None] < 1, np.random.default_rng([seed, 1]).binomial(counts, shares[:, None]), counts)
