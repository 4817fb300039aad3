"""How good predictions are, against the truth, for each kind of task. What labels and predictions look like is said in
task.py."""

import numpy as np

from task import Task

BINS = 10
EPSILON = float(np.finfo(np.float64).eps)
Points = list[dict[str, float]]


def primary(task: Task) -> str:
    """The metric that decides: a mean of losses, so that two models can be compared row by row; less is better."""
    return "squared_error" if task.kind == "regression" else "log_loss"


def losses(task: Task, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """What each row contributes to the primary metric: float64 [n]. Log-loss is the negative log-likelihood in nats,
    of probabilities that are clipped as scikit-learn does it."""
    if task.kind == "regression":
        return (predictions - labels) ** 2
    kept = np.clip(predictions, EPSILON, 1 - EPSILON)
    if task.kind == "multiclass":
        return -np.log(kept[np.arange(len(labels)), labels])
    return -np.where(labels, np.log(kept), np.log1p(-kept))


def scores(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Every metric of the task, the primary one first.

    Raises ValueError where there are no rows, or only one class among them.
    """
    if task.kind == "regression":
        return _distances(labels, predictions)
    if (classes := len(np.unique(labels))) < 2:
        raise ValueError(f"{_classes(task, labels)}: a score needs two classes and there are {classes}")
    score = _probabilities if task.kind == "binary" else _distributions
    return {"log_loss": float(losses(task, labels, predictions).mean()), **score(labels, predictions)}


def _classes(task: Task, labels: np.ndarray) -> str:
    if task.kind == "binary":
        return f"{int(labels.sum())} of {len(labels)} labels are true"
    return f"{len(labels)} labels are all {' or '.join(task.classes[code] for code in np.unique(labels)) or 'missing'}"


def _probabilities(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Brier score, areas under the ROC and precision-recall curves, expected calibration error."""
    roc, pr = areas(labels, predictions)
    return {
        "brier": float(np.mean((predictions - labels) ** 2)),
        "roc_auc": roc,
        "pr_auc": pr,
        "calibration_error": calibration_error(labels, predictions),
    }


def areas(labels: np.ndarray, predictions: np.ndarray) -> tuple[float, float]:
    """Under the ROC and the precision-recall curve (as average precision). The numbers of scikit-learn's
    `roc_auc_score` and `average_precision_score`, which take six times as long: a bootstrap asks often."""
    order = np.argsort(-predictions, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(predictions[order])), len(order) - 1)
    found = np.concatenate([[0], np.cumsum(labels[order])[ends]])
    false = np.concatenate([[0], ends + 1]) - found
    roc = np.trapezoid(found, false) / (found[-1] * false[-1])
    return float(roc), float(np.diff(found) @ (found[1:] / (ends + 1)) / found[-1])


def _distributions(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Brier score over all classes (Brier, 1950), ROC AUC of each class that occurs against the rest, averaged;
    accuracy and expected calibration error of the likeliest class."""
    true = np.arange(predictions.shape[1]) == labels[:, None]
    right = predictions.argmax(axis=1) == labels
    return {
        "brier": float(((predictions - true) ** 2).sum(axis=1).mean()),
        "roc_auc": float(np.mean([areas(true[:, k], predictions[:, k])[0] for k in np.unique(labels)])),
        "accuracy": float(right.mean()),
        "calibration_error": calibration_error(right, predictions.max(axis=1)),
    }


def _distances(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
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


def groups_of(predictions: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Which group by quantiles of the prediction each row is in: int [n], rising with the prediction."""
    return np.digitize(predictions, np.unique(np.quantile(predictions, np.linspace(0, 1, bins + 1)[1:-1])))


def calibration(labels: np.ndarray, predictions: np.ndarray, bins: int = BINS) -> Points:
    """Rows grouped by quantiles of the prediction: mean prediction, mean label, rows in the group."""
    groups = groups_of(predictions, bins)
    return [
        {
            "predicted": float(predictions[within].mean()),
            "observed": float(labels[within].mean()),
            "rows": int(within.sum()),
        }
        for within in (groups == group for group in np.unique(groups))
    ]


def calibration_error(labels: np.ndarray, predictions: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error over quantile bins (Naeini et al., "Obtaining well calibrated probabilities using
    Bayesian binning", AAAI 2015)."""
    return float(np.abs(np.bincount(groups_of(predictions, bins), predictions - labels)).sum() / len(labels))


def curves(task: Task, labels: np.ndarray, predictions: np.ndarray, points: int = 100) -> dict[str, Points]:
    """Calibration (of several classes: of the likeliest one; of a number: the mean label by groups of predictions),
    and for a binary task the ROC and precision-recall curves, thinned to about `points` points each."""
    if task.kind == "multiclass":
        return {"calibration": calibration(predictions.argmax(axis=1) == labels, predictions.max(axis=1))}
    if task.kind == "regression":
        return {"calibration": calibration(labels, predictions)}
    from sklearn import metrics

    false_positive, true_positive, _ = metrics.roc_curve(labels, predictions)
    precision, recall, _ = metrics.precision_recall_curve(labels, predictions)
    roc = {"false_positive_rate": false_positive, "true_positive_rate": true_positive}
    return {
        "roc": _thin(roc, points),
        "pr": _thin({"recall": recall, "precision": precision}, points),
        "calibration": calibration(labels, predictions),
    }


def _thin(curve: dict[str, np.ndarray], points: int) -> Points:
    length = len(next(iter(curve.values())))
    picked = np.unique(np.linspace(0, length - 1, points).astype(int))
    return [{name: float(values[i]) for name, values in curve.items()} for i in picked]
