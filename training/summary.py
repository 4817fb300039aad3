"""A training run in words and figures."""

from collections.abc import Mapping, Sequence

METRICS = {
    "log_loss": "log-loss",
    "brier": "Brier",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "calibration_error": "calibration",
}
Scored = Sequence[tuple[str, Mapping[str, float]]]


def table(scored: Scored) -> str:
    """One line a model, one column a metric."""
    width = max(len(name) for name, _ in scored) + 2
    head = " " * width + "".join(f"{title:>13}" for title in METRICS.values())
    lines = [f"{name:<{width}}" + "".join(f"{scores[key]:>13.4f}" for key in METRICS) for name, scores in scored]
    return "\n".join([head, *lines])


def span(batches: Sequence[str]) -> str:
    return batches[0] if len(batches) == 1 else f"{batches[0]} to {batches[-1]}"
