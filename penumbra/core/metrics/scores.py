"""Scores of predictions against labels, for each kind of task."""

import numpy as np

from penumbra.core.metrics.calibration import compute_calibration_error
from penumbra.core.metrics.loss_names import read_quantile_level
from penumbra.core.metrics.losses import compute_clipped_losses, compute_row_losses, get_primary_metric
from penumbra.core.task import Task
from penumbra.core.text.counts import format_count


def compute_metrics(
    task: Task, labels: np.ndarray, predictions: np.ndarray, order: np.ndarray | None = None
) -> dict[str, float]:
    """Compute every metric of the task.

    Args:
        task: The task.
        labels: The labels [n].
        predictions: The predictions, [n] or [n, classes].
        order: Where there are two classes the result of `sort_by_probability`, if it is known.

    Returns:
        The metrics by name, the primary one first: "log_loss", "brier", "roc_auc", "pr_auc" (binary) or "accuracy"
        (multi-class) and "calibration_error"; or of numbers "squared_error", "rmse", "mae", "r2" and "bias", and with a
        quantile loss "coverage", the share of labels that aren't above the prediction.

    Raises:
        ValueError: If there are no rows, or only one class among them.
    """
    if task.kind == "regression":
        return _put_primary_first(task, labels, predictions, _compute_regression_metrics(labels, predictions))
    if (classes := len(np.unique(labels))) < 2:
        raise ValueError(f"{_describe_classes(task, labels)}: a score needs two classes and there are {classes}")
    is_binary, rows = task.kind == "binary", (labels, predictions)
    scores = _compute_binary_metrics(*rows, order) if is_binary else _compute_multiclass_metrics(*rows)
    log_loss = float(compute_clipped_losses(task, labels, predictions, "log_loss", np.inf).mean())
    return _put_primary_first(task, labels, predictions, {"log_loss": log_loss, **scores})


def compute_defined_metrics(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Compute the metrics that are defined for these rows.

    Args:
        task: The task.
        labels: The labels [n], at least one.
        predictions: The predictions, [n] or [n, classes].

    Returns:
        The metrics by name, the primary one first; of rows of a single class that one alone, of equal numbers all but
        "r2".
    """
    try:
        scores = compute_metrics(task, labels, predictions)
    except ValueError:
        return {get_primary_metric(task): float(compute_row_losses(task, labels, predictions).mean())}
    return {name: score for name, score in scores.items() if not np.isnan(score)}


def _put_primary_first(
    task: Task, labels: np.ndarray, predictions: np.ndarray, scores: dict[str, float]
) -> dict[str, float]:
    """Put the primary metric before the others, and behind them what a quantile loss asks for."""
    primary = get_primary_metric(task)
    known = scores.get(primary)
    first = {primary: float(compute_row_losses(task, labels, predictions).mean()) if known is None else known}
    is_quantile = read_quantile_level(primary) is not None
    return first | scores | ({"coverage": float(np.mean(labels <= predictions))} if is_quantile else {})


def _describe_classes(task: Task, labels: np.ndarray) -> str:
    if task.kind == "binary":
        return f"{int(labels.sum())} of {format_count(len(labels), 'label is', 'labels are')} true"
    return (
        f"{format_count(len(labels), 'label is', 'labels are')} all "
        f"{' or '.join(task.classes[code] for code in np.unique(labels)) or 'missing'}"
    )


def _compute_binary_metrics(
    labels: np.ndarray, predictions: np.ndarray, order: np.ndarray | None = None
) -> dict[str, float]:
    """Brier score, areas under the ROC and precision-recall curves, expected calibration error."""
    order = sort_by_probability(predictions) if order is None else order
    roc, pr = compute_roc_pr_areas(labels, predictions, order)
    return {
        "brier": float(np.mean((predictions - labels) ** 2)),
        "roc_auc": roc,
        "pr_auc": pr,
        "calibration_error": compute_calibration_error(labels, predictions, predictions[order[::-1]]),
    }


def sort_by_probability(predictions: np.ndarray) -> np.ndarray:
    """Sort rows by the probability of True.

    Args:
        predictions: Probabilities of True, float64 [n].

    Returns:
        The numbers of the rows, the likeliest first, int64 [n]; equal ones in the order that they have.
    """
    return np.argsort(-predictions, kind="stable")


def compute_roc_pr_areas(
    labels: np.ndarray, predictions: np.ndarray, order: np.ndarray | None = None
) -> tuple[float, float]:
    """Compute the areas under the ROC and the precision-recall curve.

    The same as scikit-learn's `roc_auc_score` and `average_precision_score`, which take six times as long: a bootstrap
    computes them often.

    Args:
        labels: bool [n], with both classes.
        predictions: Probabilities of True, float64 [n].
        order: The result of `sort_by_probability`, if it is known.

    Returns:
        ROC AUC and average precision.
    """
    order = sort_by_probability(predictions) if order is None else order
    ends = np.append(np.flatnonzero(np.diff(predictions[order])), len(order) - 1)
    found = np.concatenate([[0], np.cumsum(labels[order])[ends]])
    false = np.concatenate([[0], ends + 1]) - found
    roc = np.trapezoid(found, false) / (found[-1] * false[-1])
    return float(roc), float(np.diff(found) @ (found[1:] / (ends + 1)) / found[-1])


def _compute_multiclass_metrics(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Brier score over all classes (Brier, 1950), ROC AUC of each class that occurs against the rest, averaged;
    accuracy and expected calibration error of the likeliest class."""
    true = np.arange(predictions.shape[1]) == labels[:, None]
    right = predictions.argmax(axis=1) == labels
    return {
        "brier": float(((predictions - true) ** 2).sum(axis=1).mean()),
        "roc_auc": float(np.mean([compute_roc_pr_areas(true[:, k], predictions[:, k])[0] for k in np.unique(labels)])),
        "accuracy": float(right.mean()),
        "calibration_error": compute_calibration_error(right, predictions.max(axis=1)),
    }


def _compute_regression_metrics(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """In the target's unit, or its square; `bias` is how much too high the predictions are on average."""
    if not len(labels):
        raise ValueError("there are no labels: a score needs rows")
    error = predictions - labels
    squared, spread = float(np.mean(error**2)), float(np.var(labels))
    return {
        "squared_error": squared,
        "rmse": squared**0.5,
        "mae": float(np.mean(np.abs(error))),
        "r2": 1 - squared / spread if spread else float("nan"),
        "bias": float(error.mean()),
    }
