"""Curves of predictions against labels: calibration, ROC, precision and recall."""

import numpy as np

from penumbra.core.metrics.calibration import CALIBRATION_BINS, assign_quantile_bins
from penumbra.core.task import Task

CurvePoints = list[dict[str, float]]
MAX_CURVE_POINTS = 100  # of ROC, precision and recall


def compute_calibration_curve(labels: np.ndarray, predictions: np.ndarray, bins: int = CALIBRATION_BINS) -> CurvePoints:
    """Compute mean prediction and mean label over quantile bins of the prediction.

    Args:
        labels: bool or float64 [n].
        predictions: float64 [n].
        bins: Number of bins.

    Returns:
        `predicted`, `observed` and `rows` of each bin, in rising order of predictions.
    """
    groups = assign_quantile_bins(predictions, bins)
    return [
        {
            "predicted": float(predictions[within].mean()),
            "observed": float(labels[within].mean()),
            "rows": int(within.sum()),
        }
        for within in (groups == group for group in np.unique(groups))
    ]


def compute_curves(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, CurvePoints]:
    """Compute the curves of a task.

    Args:
        task: The task.
        labels: The labels [n].
        predictions: The predictions, [n] or [n, classes].

    Returns:
        "calibration": of several classes that of the likeliest, of a number the mean label by mean prediction. For a
        binary task with both classes also "roc" (`false_positive_rate`, `true_positive_rate`) and "pr" (`recall`,
        `precision`).
    """
    if task.kind == "multiclass":
        return {"calibration": compute_calibration_curve(predictions.argmax(axis=1) == labels, predictions.max(axis=1))}
    if task.kind == "regression" or len(np.unique(labels)) < 2:
        return {"calibration": compute_calibration_curve(labels, predictions)}
    from sklearn import metrics

    false_positive, true_positive, _ = metrics.roc_curve(labels, predictions)
    precision, recall, _ = metrics.precision_recall_curve(labels, predictions)
    roc = {"false_positive_rate": false_positive, "true_positive_rate": true_positive}
    return {
        "roc": _thin_curve(roc),
        "pr": _thin_curve({"recall": recall, "precision": precision}),
        "calibration": compute_calibration_curve(labels, predictions),
    }


def _thin_curve(curve: dict[str, np.ndarray]) -> CurvePoints:
    length = len(next(iter(curve.values())))
    picked = np.unique(np.linspace(0, length - 1, MAX_CURVE_POINTS).astype(int))
    return [{name: float(values[i]) for name, values in curve.items()} for i in picked]
