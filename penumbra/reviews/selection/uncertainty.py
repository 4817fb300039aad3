"""What a model version is unsure of, measured by the held-out rows of its own bundle.

So nothing has to be set, and no label has to arrive: each version says of its own predictions which are unusually close
to another decision, and whether its prediction set has one class, or its interval is a narrow one.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.task import Task

CLOSE_SHARE = 0.05  # of a model's held-out rows are close calls


class ModelUncertainty:
    """Finds the close calls and the wide conformal sets among a model version's predictions."""

    def __init__(self, task: Task, threshold: float, reference: pl.DataFrame, limits: ConformalLimits) -> None:
        """Learn what is close.

        Args:
            task: The task.
            threshold: The lowest probability for which a binary task decides for True; NaN for others.
            reference: Held-out rows with `penumbra.prediction`.
            limits: The version's conformal limits.
        """
        self._task, self._threshold, self._limits = task, threshold, limits
        outputs = reference[PREDICTION_COLUMN].drop_nulls().to_numpy()
        is_known = len(outputs) > 0 and task.kind != "regression"
        self._closest = float(np.quantile(self._measure_margins(outputs), CLOSE_SHARE)) if is_known else -np.inf

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
            Whether several classes, or none, can hold the truth by the version's limits, bool [n]; not counting classes
            that no set is without. Of numbers, whether the interval is the widest of those that the version gives.
        """
        if not self._limits.rows:
            return np.zeros(len(outputs), bool)
        if self._task.kind == "regression":
            return self._limits.find_widest(outputs)
        return self._limits.find_ambiguous(outputs)

    def _measure_margins(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._task.kind == "binary":
            return np.abs(outputs - self._threshold)
        highest = np.sort(outputs, axis=1)
        return highest[:, -1] - highest[:, -2]
