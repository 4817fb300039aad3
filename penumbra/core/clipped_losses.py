"""What one row's prediction costs, so that two models can be compared row by row."""

from typing import Literal

import numpy as np

from penumbra.core.task import Task

LossName = Literal["log_loss", "brier"]
PROBABILITY_EPSILON = float(np.finfo(np.float64).eps)


def clipped_losses(
    task: Task, labels: np.ndarray, predictions: np.ndarray, loss: LossName, ceiling: float
) -> np.ndarray:
    """Each row's loss, but `ceiling` at most: float64 [n], NaN where the prediction has one.

    Of probabilities the log-loss in nats or the Brier score (Brier, 1950; over all classes where there are several), of
    numbers the squared error whatever `loss` says. `labels` and `predictions` are the task's (see penumbra/core/task.py).
    The ceiling keeps a single surprise from deciding a comparison: some times the live model's mean loss on its
    reference is a good one, and it must be settings before the rows are seen.
    """
    if task.kind == "regression":
        return np.minimum((predictions - labels) ** 2, ceiling)
    given = _outcome_probability(task, labels, predictions)
    if loss == "log_loss":
        return np.minimum(-np.log(np.clip(given, PROBABILITY_EPSILON, 1)), ceiling)
    squares = (predictions**2).sum(axis=1) - given**2 if task.kind == "multiclass" else 0.0
    return np.minimum((1 - given) ** 2 + squares, ceiling)


def _outcome_probability(task: Task, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """The probability that was given to what happened."""
    if task.kind == "multiclass":
        return np.asarray(predictions[np.arange(len(labels)), labels])
    return np.where(labels, predictions, 1 - predictions)
