"""How good predictions are, against the truth, for each kind of task. What labels and predictions look like is said in
penumbra/core/task.py."""

import numpy as np

from penumbra.core.task import Task

CALIBRATION_BINS = 10
LOG_LOSS_EPSILON = float(np.finfo(np.float64).eps)
CurvePoints = list[dict[str, float]]


def get_primary_metric(task: Task) -> str:
    """The metric that decides: a mean of losses, so that two models can be compared row by row; less is better."""
    return "squared_error" if task.kind == "regression" else "log_loss"


def row_losses(task: Task, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """What each row contributes to the primary metric: float64 [n]. Log-loss is the negative log-likelihood in nats,
    of probabilities that are clipped as scikit-learn does it."""
    if task.kind == "regression":
        return (predictions - labels) ** 2
    kept = np.clip(predictions, LOG_LOSS_EPSILON, 1 - LOG_LOSS_EPSILON)
    if task.kind == "multiclass":
        return -np.log(kept[np.arange(len(labels)), labels])
    return -np.where(labels, np.log(kept), np.log1p(-kept))


def compute_metrics(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Every metric of the task, the primary one first.

    Raises ValueError where there are no rows, or only one class among them.
    """
    if task.kind == "regression":
        return _regression_metrics(labels, predictions)
    if (classes := len(np.unique(labels))) < 2:
        raise ValueError(f"{_describe_classes(task, labels)}: a score needs two classes and there are {classes}")
    score = _binary_metrics if task.kind == "binary" else _multiclass_metrics
    return {"log_loss": float(row_losses(task, labels, predictions).mean()), **score(labels, predictions)}


def _describe_classes(task: Task, labels: np.ndarray) -> str:
    if task.kind == "binary":
        return f"{int(labels.sum())} of {len(labels)} labels are true"
    return f"{len(labels)} labels are all {' or '.join(task.classes[code] for code in np.unique(labels)) or 'missing'}"


def _binary_metrics(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Brier score, areas under the ROC and precision-recall curves, expected calibration error."""
    roc, pr = compute_roc_pr_areas(labels, predictions)
    return {
        "brier": float(np.mean((predictions - labels) ** 2)),
        "roc_auc": roc,
        "pr_auc": pr,
        "calibration_error": compute_calibration_error(labels, predictions),
    }


def compute_roc_pr_areas(labels: np.ndarray, predictions: np.ndarray) -> tuple[float, float]:
    """Under the ROC and the precision-recall curve (as average precision). The numbers of scikit-learn's
    `roc_auc_score` and `average_precision_score`, which take six times as long: a bootstrap asks often."""
    order = np.argsort(-predictions, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(predictions[order])), len(order) - 1)
    found = np.concatenate([[0], np.cumsum(labels[order])[ends]])
    false = np.concatenate([[0], ends + 1]) - found
    roc = np.trapezoid(found, false) / (found[-1] * false[-1])
    return float(roc), float(np.diff(found) @ (found[1:] / (ends + 1)) / found[-1])


def _multiclass_metrics(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
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


def _regression_metrics(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
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


def assign_quantile_bins(predictions: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Which group by quantiles of the prediction each row is in: int [n], rising with the prediction."""
    return np.digitize(predictions, np.unique(np.quantile(predictions, np.linspace(0, 1, bins + 1)[1:-1])))


def compute_calibration_curve(labels: np.ndarray, predictions: np.ndarray, bins: int = CALIBRATION_BINS) -> CurvePoints:
    """Rows grouped by quantiles of the prediction: mean prediction, mean label, rows in the group."""
    groups = assign_quantile_bins(predictions, bins)
    return [
        {
            "predicted": float(predictions[within].mean()),
            "observed": float(labels[within].mean()),
            "rows": int(within.sum()),
        }
        for within in (groups == group for group in np.unique(groups))
    ]


def compute_calibration_error(labels: np.ndarray, predictions: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error over quantile bins (Naeini et al., "Obtaining well calibrated probabilities using
    Bayesian binning", AAAI 2015)."""
    return float(np.abs(np.bincount(assign_quantile_bins(predictions, bins), predictions - labels)).sum() / len(labels))


def compute_curves(
    task: Task, labels: np.ndarray, predictions: np.ndarray, points: int = 100
) -> dict[str, CurvePoints]:
    """Calibration (of several classes: of the likeliest one; of a number: the mean label by groups of predictions),
    and for a binary task the ROC and precision-recall curves, thinned to about `points` points each."""
    if task.kind == "multiclass":
        return {"calibration": compute_calibration_curve(predictions.argmax(axis=1) == labels, predictions.max(axis=1))}
    if task.kind == "regression":
        return {"calibration": compute_calibration_curve(labels, predictions)}
    from sklearn import metrics

    false_positive, true_positive, _ = metrics.roc_curve(labels, predictions)
    precision, recall, _ = metrics.precision_recall_curve(labels, predictions)
    roc = {"false_positive_rate": false_positive, "true_positive_rate": true_positive}
    return {
        "roc": _thin_curve(roc, points),
        "pr": _thin_curve({"recall": recall, "precision": precision}, points),
        "calibration": compute_calibration_curve(labels, predictions),
    }


def _thin_curve(curve: dict[str, np.ndarray], points: int) -> CurvePoints:
    length = len(next(iter(curve.values())))
    picked = np.unique(np.linspace(0, length - 1, points).astype(int))
    return [{name: float(values[i]) for name, values in curve.items()} for i in picked]
