"""A training run in words and figures."""

from collections.abc import Mapping, Sequence

from penumbra.training.bootstrap import Interval

METRIC_TITLES = {
    "log_loss": "log-loss",
    "brier": "Brier",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "accuracy": "accuracy",
    "calibration_error": "calibration",
    "squared_error": "squared error",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "bias": "bias",
}
ModelScores = Sequence[tuple[str, Mapping[str, float | Interval]]]


def format_score_table(scored: ModelScores) -> str:
    """One line a model, one column a metric, in the order of the first model's; with intervals where there are any."""
    metrics = list(scored[0][1])
    cells = [["", *(METRIC_TITLES.get(name, name) for name in metrics)]]
    cells += [[name, *(_format_score(scores.get(metric)) for metric in metrics)] for name, scores in scored]
    first, *rest = (max(map(len, column)) for column in zip(*cells, strict=True))
    widths = [max(width + 2, 13) for width in rest]
    return "\n".join(
        f"{name:<{first + 2}}" + "".join(f"{figure:>{width}}" for figure, width in zip(figures, widths, strict=True))
        for name, *figures in cells
    )


def format_batch_range(batches: Sequence[str]) -> str:
    return batches[0] if len(batches) == 1 else f"{batches[0]} to {batches[-1]}"


def _format_score(score: float | Interval | None) -> str:
    if score is None:
        return ""
    return str(score) if isinstance(score, Interval) else f"{score:.4f}"
