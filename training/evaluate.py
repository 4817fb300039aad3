"""How good probabilities are, against the truth. scikit-learn is imported late: it costs a second in each process."""

import numpy as np

BINS = 10
EPSILON = float(np.finfo(np.float64).eps)


def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Log-loss, Brier score, areas under the ROC and precision-recall curves, expected calibration error.

    `labels` is bool [n], `probabilities` float64 [n]. Raises ValueError where only one class is present.
    """
    from sklearn import metrics

    if labels.all() or not labels.any():
        raise ValueError(f"{int(labels.sum())} of {len(labels)} labels are true: a score needs both classes")
    return {
        "log_loss": log_loss(labels, probabilities),
        "brier": float(metrics.brier_score_loss(labels, probabilities)),
        "roc_auc": float(metrics.roc_auc_score(labels, probabilities)),
        "pr_auc": float(metrics.average_precision_score(labels, probabilities)),
        "calibration_error": calibration_error(labels, probabilities),
    }


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log-likelihood, in nats; probabilities are clipped as scikit-learn does it."""
    kept = np.clip(probabilities, EPSILON, 1 - EPSILON)
    return float(-np.mean(np.where(labels, np.log(kept), np.log1p(-kept))))


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> list[dict[str, float]]:
    """Rows grouped by quantiles of the probability: mean prediction, observed share of positives, rows in the bin."""
    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1]))
    groups = np.digitize(probabilities, edges)
    return [
        {
            "predicted": float(probabilities[in_bin].mean()),
            "observed": float(labels[in_bin].mean()),
            "rows": int(in_bin.sum()),
        }
        for in_bin in (groups == group for group in np.unique(groups))
    ]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error over quantile bins (Naeini et al., "Obtaining well calibrated probabilities using
    Bayesian binning", AAAI 2015)."""
    groups = calibration(labels, probabilities, bins)
    return float(sum(g["rows"] * abs(g["predicted"] - g["observed"]) for g in groups) / len(labels))


def curves(labels: np.ndarray, probabilities: np.ndarray, points: int = 100) -> dict[str, list[dict[str, float]]]:
    """ROC and precision-recall curves, thinned to about `points` points each, and calibration."""
    from sklearn import metrics

    false_positive, true_positive, _ = metrics.roc_curve(labels, probabilities)
    precision, recall, _ = metrics.precision_recall_curve(labels, probabilities)
    roc = {"false_positive_rate": false_positive, "true_positive_rate": true_positive}
    return {
        "roc": _thin(roc, points),
        "pr": _thin({"recall": recall, "precision": precision}, points),
        "calibration": calibration(labels, probabilities),
    }


def _thin(curve: dict[str, np.ndarray], points: int) -> list[dict[str, float]]:
    length = len(next(iter(curve.values())))
    picked = np.unique(np.linspace(0, length - 1, points).astype(int))
    return [{name: float(values[i]) for name, values in curve.items()} for i in picked]
