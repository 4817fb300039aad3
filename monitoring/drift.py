"""Are a window's rows distributed as the model's own reference? Asked of each column and of the predictions, so that
one window in so many raises an alarm where nothing has changed (see replays.py).

The distance is that of Jensen and Shannon between the shares of rows in the bins, null included: 0 where they are
alike, 1 where they have nothing in common (Lin, "Divergence measures based on the Shannon entropy", 1991; its root:
Endres, Schindelin, "A new metric for probability distributions", 2003). A column's threshold is its own limit over the
replays, raised by one factor for all columns, so that the largest ratio of distance to threshold keeps the promise
(the idea of Westfall, Young, *Resampling-Based Multiple Testing*, 1993); and no less than the reference's own weeks
were from the rest of it.

What is assumed: without drift the days of reference and window could stand in any order. Seasons break that and are
drift here. How often that alarms is in docs/monitoring.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from counts import PREDICTION, Binning, Profile
from monitoring.replays import draws, limit

SAME = 1e-9  # of a squared distance: rounding


@dataclass(frozen=True)
class Distance:
    """From the reference, 0 to 1, and how far is far."""

    distance: float
    threshold: float

    @property
    def ratio(self) -> float:
        return self.distance / self.threshold


@dataclass(frozen=True)
class Drift:
    """By column of the rows, and of the `prediction`; a column without a value, or with the same one in every row of
    reference and window, can't be compared and isn't there. `column` has the largest `ratio`."""

    columns: dict[str, Distance]
    prediction: Distance | None
    column: str = ""
    ratio: float = 0.0

    @property
    def beyond(self) -> bool:
        return self.ratio > 1

    def __str__(self) -> str:
        return (
            f"{self.column or 'nothing'} is at {self.ratio:.2f} of its threshold, the most of {len(self.columns) + 1}"
        )


def judge(
    window: Sequence[Profile], reference: Sequence[Profile], binning: Binning, one_in: float, seed: int = 0
) -> Drift:
    """`window` and `reference`: a profile for each day, in the order of time. At most one in `one_in` windows without
    drift is `beyond`; where two kinds of alarm share a budget, each gets half of it. Too few days to tell never are."""
    window, reference = [day for day in window if day.rows], [day for day in reference if day.rows]
    if not window or not reference:
        return Drift({}, None)
    days = np.concatenate([np.array([day.counts for day in window]), _thinned(reference, window, seed)])
    drawn = draws(len(window), len(reference), one_in, seed)
    far = distances(drawn.astype(float) @ days, days.sum(axis=0), binning)
    scale = limit(far, one_in)
    comparable = scale > 0
    ratios = np.divide(far, scale, out=np.zeros_like(far), where=comparable)
    calm = scale * limit(ratios.max(axis=1), one_in)
    thresholds = np.maximum(calm, _restless(days[len(window) :], len(window), binning))
    return _drift(list(binning.columns), far[0], thresholds, comparable)


def _drift(names: list[str], far: np.ndarray, thresholds: np.ndarray, comparable: np.ndarray) -> Drift:
    found = zip(names, far.tolist(), thresholds.tolist(), comparable, strict=True)
    each = {name: Distance(distance, threshold) for name, distance, threshold, known in found if known}
    column = max(each, key=lambda name: each[name].ratio, default="")
    ratio = each[column].ratio if column else 0.0
    return Drift({name: each[name] for name in each if name != PREDICTION}, each.get(PREDICTION), column, ratio)


def _restless(reference: np.ndarray, days: int, binning: Binning) -> np.ndarray:
    """The largest distance of any such stretch of the reference's days from the rest of it, float64 [columns]: what
    stays for days, as a cold spell does, is no drift where the reference has had its like."""
    if len(reference) < 2 * days:
        return np.zeros(len(binning.columns))
    until = np.cumsum(reference, axis=0, dtype=float)
    stretches = until[days - 1 :] - np.concatenate([np.zeros((1, reference.shape[1])), until[:-days]])
    return np.asarray(distances(stretches, until[-1], binning).max(axis=0))


def _thinned(reference: Sequence[Profile], window: Sequence[Profile], seed: int) -> np.ndarray:
    """The days' counts as they would be if as few of their rows were known as the window has in a day: fewer rows are
    further from anything, by chance alone."""
    counts = np.array([day.counts for day in reference])
    share = np.mean([day.rows for day in window]) / np.mean([day.rows for day in reference])
    return counts if share >= 1 else np.random.default_rng([seed, 1]).binomial(counts, share)


def distances(drawn: np.ndarray, total: np.ndarray, binning: Binning) -> np.ndarray:
    """Between the days drawn (counts, float64 [replays, bins]) and all others: float64 [replays, columns]."""
    starts = [place.start for place in binning.columns.values()]
    one, other = (_shares(counts, starts) for counts in (drawn, total - drawn))
    middle = (one + other) / 2
    squared = np.add.reduceat(_information(one, middle) + _information(other, middle), starts, axis=1) / 2
    return np.sqrt(np.where(squared > SAME, squared, 0))


def _shares(counts: np.ndarray, starts: list[int]) -> np.ndarray:
    rows = np.add.reduceat(counts, starts, axis=1)
    sizes = np.diff([*starts, counts.shape[1]])
    return counts / np.repeat(np.maximum(rows, 1), sizes, axis=1)


def _information(shares: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Bits by which each bin's share surprises one who expects `middle`."""
    parts = np.divide(shares, middle, out=np.ones_like(shares), where=shares > 0)
    return shares * np.log2(parts, out=parts)
