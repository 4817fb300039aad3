"""What a model version is unsure of, measured by the held-out rows of its own bundle.

So nothing has to be set, and no label has to arrive: each version says of its own predictions which are unusually close
to another decision, and whether one class, or a narrow interval, has 90 % of the truth.
"""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.task import Task

CLOSE_SHARE = 0.05  # of a model's held-out rows are close calls
COVERAGE = 0.9  # of the conformal sets and intervals
INTERVAL_BINS, MIN_BIN_ROWS = 10, 10  # of predicted numbers
FindRows = Callable[[NDArray[np.float64]], NDArray[np.bool_]]


class ModelUncertainty:
    """Finds the close calls and the wide conformal sets among a model version's predictions.

    Source:
        Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*, 2005 (split conformal prediction; that of
        numbers within bins of the prediction).
    """

    def __init__(self, task: Task, threshold: float, reference: pl.DataFrame) -> None:
        """Learn the limits.

        Args:
            task: The task.
            threshold: The lowest probability for which a binary task decides for True; NaN for others.
            reference: Held-out rows with `penumbra.label` and `penumbra.prediction`.
        """
        self._task, self._threshold = task, threshold
        known = reference.select(LABEL_COLUMN, PREDICTION_COLUMN).drop_nulls()
        labels = known[LABEL_COLUMN].to_physical().cast(pl.Float64).to_numpy()
        outputs = known[PREDICTION_COLUMN].to_numpy()
        self._closest = -np.inf
        self._is_wide: FindRows = lambda outputs: np.zeros(len(outputs), bool)
        if len(outputs) and task.kind == "regression":
            self._is_wide = _learn_wide_intervals(labels, outputs)
        elif len(outputs):
            self._closest = float(np.quantile(self._measure_margins(outputs), CLOSE_SHARE))
            self._is_wide = self._learn_wide_sets(labels.astype(int), outputs)

    def find_close_calls(self, outputs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Find the predictions that are closer to another decision than 95 % of the model's held-out rows.

        Args:
            outputs: float64 [n], or [n, classes]: see penumbra/core/task.py.

        Returns:
            Whether each is a close call, bool [n]: by its distance from the threshold, or by the margin of the two most
            probable classes. A number never is.
        """
        if self._task.kind == "regression":
            return np.zeros(len(outputs), bool)
        return self._measure_margins(outputs) <= self._closest

    def find_wide_sets(self, outputs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Find the predictions whose conformal set doesn't say one thing.

        Args:
            outputs: float64 [n], or [n, classes]: see penumbra/core/task.py.

        Returns:
            Whether the set that holds the truth in 90 % of the cases has several classes or none, bool [n]. Of numbers,
            whether the interval is the widest: the model's held-out rows are divided into ten bins by their prediction,
            and in that of the widest interval lies the prediction.
        """
        return self._is_wide(outputs)

    def _measure_margins(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._task.kind == "binary":
            return np.abs(outputs - self._threshold)
        highest = np.sort(outputs, axis=1)
        return highest[:, -1] - highest[:, -2]

    def _learn_wide_sets(self, labels: NDArray[np.int64], outputs: NDArray[np.float64]) -> FindRows:
        doubts = 1 - self._spread_classes(outputs)
        limit = compute_conformal_limit(doubts[np.arange(len(labels)), labels])
        return lambda outputs: (1 - self._spread_classes(outputs) <= limit).sum(axis=1) != 1

    def _spread_classes(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability of each class, float64 [n, classes]."""
        return np.column_stack([1 - outputs, outputs]) if self._task.kind == "binary" else outputs


def compute_conformal_limit(scores: NDArray[np.float64]) -> float:
    """Compute the limit that the next score doesn't exceed in 90 % of the cases.

    Args:
        scores: How far the truth was from the prediction in each of n exchangeable rows, float64 [n].

    Returns:
        The smallest of the scores that at least 0.9 (n + 1) of them don't exceed; the largest where there is none.
    """
    share = min(1.0, np.ceil((len(scores) + 1) * COVERAGE) / len(scores))
    return float(np.quantile(scores, share, method="inverted_cdf"))


def _learn_wide_intervals(labels: NDArray[np.float64], outputs: NDArray[np.float64]) -> FindRows:
    bins = min(INTERVAL_BINS, len(outputs) // MIN_BIN_ROWS)
    if bins < 2:
        return lambda outputs: np.zeros(len(outputs), bool)
    edges = np.unique(np.quantile(outputs, np.arange(1, bins) / bins))
    places, errors = np.searchsorted(edges, outputs), np.abs(labels - outputs)
    widths = {place: compute_conformal_limit(errors[places == place]) for place in np.unique(places)}
    widest = max(widths, key=widths.__getitem__)
    return lambda outputs: np.searchsorted(edges, outputs) == widest
