"""Predictions read from frames of the logs; where there is a label, their losses and whether their sets hold it."""

from collections.abc import Callable

import numpy as np
import polars as pl

from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.metrics.losses import compute_clipped_losses, compute_loss_ceiling
from penumbra.core.predictions import find_finite_rows
from penumbra.core.settings import PromotionSettings
from penumbra.core.task import Task
from penumbra.training.fit import extract_labels


def compute_known_losses(
    task: Task, loss: str, labels: pl.Series, predictions: np.ndarray, ceiling: float
) -> np.ndarray:
    """Compute the loss of each prediction that has a label.

    Args:
        task: What is predicted.
        loss: The loss, as `promotion.loss` names it.
        labels: The problem's target, null where it isn't known.
        predictions: Float64 [n] or [n, classes], NaN where there is none.
        ceiling: The most that a row's loss counts; infinity for no limit.

    Returns:
        Float64 [n], NaN where there is no label or no prediction.
    """
    return _compare_known_rows(
        task, labels, predictions, lambda known, said: compute_clipped_losses(task, known, said, loss, ceiling)
    )


def find_known_covered(task: Task, limits: ConformalLimits, labels: pl.Series, predictions: np.ndarray) -> np.ndarray:
    """Find the predictions whose set or interval holds the truth, of those that have a label.

    Args:
        task: What is predicted.
        limits: The conformal limits of the version that predicted.
        labels: The problem's target, null where it isn't known.
        predictions: Float64 [n] or [n, classes], NaN where there is none.

    Returns:
        Float64 [n], 1 or 0; NaN where there is no label or no prediction.
    """
    return _compare_known_rows(task, labels, predictions, limits.find_covered)


def measure_loss_ceiling(task: Task, settings: PromotionSettings, reference: pl.DataFrame) -> float:
    """Measure the most that a row's loss counts, on a model's reference.

    Args:
        task: What is predicted.
        settings: Section [promotion] of the settings (`loss`, `loss_ceiling`).
        reference: A frame with the columns `penumbra.label` (the target) and `penumbra.prediction` (as in the logs).

    Returns:
        The ceiling, see `penumbra.core.metrics.losses.compute_loss_ceiling`.

    Raises:
        SettingsError: `promotion.loss` is no loss of the task.
    """
    labels, predictions = reference[LABEL_COLUMN], extract_predictions(task, reference[PREDICTION_COLUMN])
    losses = compute_known_losses(task, settings.loss, labels, predictions, np.inf)
    known = np.isfinite(losses)
    of_known = extract_labels(labels.filter(known), task)
    return compute_loss_ceiling(task, of_known, losses[known], settings.loss_ceiling)


def extract_predictions(task: Task, values: pl.Series) -> np.ndarray:
    """Read predictions from a column of the logs.

    Args:
        task: What is predicted.
        values: Numbers or, of several classes, lists of probabilities; with nulls.

    Returns:
        Float64 [n] or [n, classes] (see penumbra/core/task.py), NaN for null.
    """
    if task.kind == "multiclass":
        nothing = [np.nan] * len(task.classes)
        return np.array([nothing if value is None else value for value in values.to_list()]).reshape(
            -1, len(task.classes)
        )
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _compare_known_rows(
    task: Task, labels: pl.Series, predictions: np.ndarray, compare: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Compare labels with predictions where both are known; float64 [n], NaN for all other rows."""
    found, known = np.full(len(labels), np.nan), _mask_known_rows(labels, predictions)
    found[known] = compare(extract_labels(labels.filter(known), task), predictions[known])
    return found


def _mask_known_rows(labels: pl.Series, predictions: np.ndarray) -> np.ndarray:
    """Return the rows that have a label, and all of whose predicted numbers are finite: bool [n]."""
    mask: np.ndarray = labels.is_not_null().to_numpy() & find_finite_rows(predictions)
    return mask
