"""Drift of a window: are its rows distributed as in the model's own reference?

Each column and the predictions are compared so that one window in so many raises an alarm where nothing has changed
(see permutation.py). A column's threshold is its own limit over the permutations, raised by one factor for all columns,
so that the largest ratio of distance to threshold keeps the promise; and no less than the largest distance of the
reference's own weeks from the rest of it.

The distance is that of Jensen and Shannon between the shares of rows in the bins, null included: 0 where they are
alike, 1 where they have nothing in common.

It assumes that without drift the days of reference and window could stand in any order. Seasons break that and count as
drift here. How often that raises an alarm is in docs/monitoring-statistics.md.

Source: Lin, "Divergence measures based on the Shannon entropy", 1991; for its root Endres, Schindelin, "A new metric
for probability distributions", 2003; for the common factor Westfall, Young, *Resampling-Based Multiple Testing*, 1993.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.permutation import compute_permutation_limit, draw_permutations
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile
from penumbra.core.metrics.distances import compute_js_distances


@dataclass(frozen=True)
class ColumnDrift:
    """The drift of one column.

    Attributes:
        distance: Distance from the reference, 0 to 1.
        threshold: The largest distance that is no alarm.
    """

    distance: float
    threshold: float

    @property
    def ratio(self) -> float:
        """Distance divided by threshold; above 1 is an alarm."""
        return self.distance / self.threshold


@dataclass(frozen=True)
class DriftResult:
    """The drift of a window.

    A column without a value, or with the same value in every row of reference and window, can't be compared and is
    absent.

    Attributes:
        columns: The drift of each column of the rows.
        prediction: The drift of the predictions.
        column: The column with the largest ratio of distance to threshold, or "the predictions"; "" where nothing was
            compared.
        ratio: That ratio.
    """

    columns: dict[str, ColumnDrift]
    prediction: ColumnDrift | None
    column: str = ""
    ratio: float = 0.0

    @property
    def has_drifted(self) -> bool:
        """Whether a column is beyond its threshold."""
        return self.ratio > 1

    def __str__(self) -> str:
        return (
            f"{self.column or 'nothing'} is at {self.ratio:.2f} of its threshold, the most of {len(self.columns) + 1}"
        )


def compute_drift(
    recent: Sequence[Profile],
    reference: Sequence[Profile],
    binning: Binning,
    one_in: float,
    window_days: int,
    seed: int = 0,
) -> DriftResult:
    """Compare the distribution of a window's rows with that of the reference.

    Args:
        recent: A profile of each day of the window, the last `window_days`, and of days before it that the same model
            answered, in the order of time. Each day of the calendar has one, if an empty one.
        reference: A profile of each day of the reference, in the order of time.
        binning: The bins of the profiles.
        one_in: At most one in so many windows without drift raises an alarm. Where kinds of alarm share a budget, each
            gets its share of it.
        window_days: How many days a window has.
        seed: Seed of the permutations.

    Returns:
        Distances with thresholds; empty where window or reference have no rows.
    """
    window = [day for day in recent[-window_days:] if day.rows]
    reference = [day for day in reference if day.rows]
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
    prediction = each.pop(PREDICTION_COLUMN, None)
    return DriftResult(each, prediction, "the predictions" if column == PREDICTION_COLUMN else column, ratio)


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
