"""Are a window's rows distributed as the model's own reference? Asked of each column and of the predictions, so that
one window in so many raises an alarm where nothing has changed (see replays.py).

The distance is that of Jensen and Shannon between the shares of rows in the bins, null included: 0 where they are
alike, 1 where they have nothing in common (Lin, "Divergence measures based on the Shannon entropy", 1991; its root:
Endres, Schindelin, "A new metric for probability distributions", 2003). A column's threshold is its own limit over the
replays, raised by one factor for all columns, so that the largest ratio of distance to threshold keeps the promise
(the idea of Westfall, Young, *Resampling-Based Multiple Testing*, 1993); and no less than the reference's own weeks
were from the rest of it.

What is assumed: without drift the days of reference and window could stand in any order. Seasons break that and are
drift here. How often that alarms is in docs/monitoring-statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.permutation import compute_permutation_limit, draw_permutations
from penumbra.core.histograms import PREDICTION_COLUMN, Binning, Profile
from penumbra.core.metrics.distances import compute_js_distances


@dataclass(frozen=True)
class ColumnDrift:
    """From the reference, 0 to 1, and how far is far."""

    distance: float
    threshold: float

    @property
    def ratio(self) -> float:
        return self.distance / self.threshold


@dataclass(frozen=True)
class DriftResult:
    """By column of the rows, and of the `prediction`; a column without a value, or with the same one in every row of
    reference and window, can't be compared and isn't there. `column` has the largest `ratio`."""

    columns: dict[str, ColumnDrift]
    prediction: ColumnDrift | None
    column: str = ""
    ratio: float = 0.0

    @property
    def has_drifted(self) -> bool:
        return self.ratio > 1

    def __str__(self) -> str:
        return (
            f"{self.column or 'nothing'} is at {self.ratio:.2f} of its threshold, the most of {len(self.columns) + 1}"
        )


def compute_drift(
    window: Sequence[Profile], reference: Sequence[Profile], binning: Binning, one_in: float, seed: int = 0
) -> DriftResult:
    """`window` and `reference`: a profile for each day, in the order of time. At most one in `one_in` windows without
    drift is `beyond`; where two kinds of alarm share a budget, each gets half of it. Too few days to tell never are."""
    window, reference = [day for day in window if day.rows], [day for day in reference if day.rows]
    if not window or not reference:
        return DriftResult({}, None)
    days = np.concatenate([np.array([day.counts for day in window]), _thin_reference(reference, window, seed)])
    drawn = draw_permutations(len(window), len(reference), one_in, seed)
    far = compute_js_distances(drawn.astype(float) @ days, days.sum(axis=0), binning.starts)
    scale = compute_permutation_limit(far, one_in)
    comparable = scale > 0
    ratios = np.divide(far, scale, out=np.zeros_like(far), where=comparable)
    calm = scale * compute_permutation_limit(ratios.max(axis=1), one_in)
    thresholds = np.maximum(calm, _largest_reference_distance(days[len(window) :], len(window), binning))
    return _build_result(list(binning.columns), far[0], thresholds, comparable)


def _build_result(names: list[str], far: np.ndarray, thresholds: np.ndarray, comparable: np.ndarray) -> DriftResult:
    found = zip(names, far.tolist(), thresholds.tolist(), comparable, strict=True)
    each = {name: ColumnDrift(distance, threshold) for name, distance, threshold, known in found if known}
    column = max(each, key=lambda name: each[name].ratio, default="")
    ratio = each[column].ratio if column else 0.0
    return DriftResult(
        {name: each[name] for name in each if name != PREDICTION_COLUMN}, each.get(PREDICTION_COLUMN), column, ratio
    )


def _largest_reference_distance(reference: np.ndarray, days: int, binning: Binning) -> np.ndarray:
    """The largest distance of any such stretch of the reference's days from the rest of it, float64 [columns]: what
    stays for days, as a cold spell does, is no drift where the reference has had its like."""
    if len(reference) < 2 * days:
        return np.zeros(len(binning.columns))
    until = np.cumsum(reference, axis=0, dtype=float)
    stretches = until[days - 1 :] - np.concatenate([np.zeros((1, reference.shape[1])), until[:-days]])
    return np.asarray(compute_js_distances(stretches, until[-1], binning.starts).max(axis=0))


def _thin_reference(reference: Sequence[Profile], window: Sequence[Profile], seed: int) -> np.ndarray:
    """The days' counts as they would be if as few of their rows were known as the window has in a day: fewer rows are
    further from anything, by chance alone."""
    counts = np.array([day.counts for day in reference])
    share = np.mean([day.rows for day in window]) / np.mean([day.rows for day in reference])
    return counts if share >= 1 else np.random.default_rng([seed, 1]).binomial(counts, share)
