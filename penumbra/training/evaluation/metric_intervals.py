"""Metrics of held-out rows with their confidence intervals.

Metrics that are no means enter the bootstrap over days by their jackknife pseudo-values: each day's contribution to the
metric. Those that are shares of rows have the limits of a proportion (penumbra/core/metrics/proportions.py) in place
of the bootstrap's.
"""

import numpy as np

from penumbra.core.metrics.group_metrics import ODDS
from penumbra.core.metrics.losses import compute_row_losses, get_primary_metric
from penumbra.core.metrics.proportions import compute_clustered_limits
from penumbra.core.metrics.scores import compute_metrics, sort_by_probability
from penumbra.core.task import Task
from penumbra.training.evaluation.bootstrap import (
    MIN_JOINT_BLOCKS,
    Interval,
    compute_confidence_limits,
    compute_standard_errors,
    count_blocks,
    encode_days,
)

MAX_JACKKNIFE_UNITS = 50
SIGNED_METRIC_RANGES = {
    **dict.fromkeys(("bias", "mean_error", "mean_prediction"), (-np.inf, np.inf)),
    "r2": (-np.inf, 1.0),
}
RATE_METRICS = ("accuracy", "coverage", "selection_rate", *ODDS)  # shares of rows
SHARE_METRIC_RANGES = dict.fromkeys(("roc_auc", "pr_auc", "calibration_error", *RATE_METRICS), (0.0, 1.0))


def compute_metric_intervals(
    task: Task, labels: np.ndarray, predictions: np.ndarray, days: np.ndarray, confidence: float = 0.95
) -> dict[str, Interval]:
    """Compute every metric of the task with its interval.

    The intervals come from metrics without each day in turn, or of more than 50 days without each group of neighbours.
    A metric that isn't defined without some of them has no limits: they are infinite. So has an area or a calibration
    error that is as good or bad as can be without each of them.

    Args:
        task: The task.
        labels: The labels [n].
        predictions: The predictions, float64 [n] or [n, classes].
        days: The day of each row, [n], numbers or dates whose order is that of time.
        confidence: Two-sided confidence.

    Returns:
        The intervals by metric, the primary one first.

    Raises:
        ValueError: If there are no rows, or only one class among them.
    """
    scores = compute_metrics(task, labels, predictions)
    codes = encode_days(days)
    units = _group_days(codes.max() + 1)[codes]
    order = sort_by_probability(predictions) if task.kind == "binary" else None
    without = [_leave_out(task, labels, predictions, units != unit, order) for unit in np.unique(units)]
    left_out = np.array([[each.get(name, np.nan) for each in without] for name in scores])
    contributions = _compute_pseudo_values(np.array(list(scores.values())), left_out)
    limits = zip(*compute_confidence_limits(contributions, confidence), strict=True)
    intervals = {
        name: _clip_interval(name, value, *each) for (name, value), each in zip(scores.items(), limits, strict=True)
    }
    rates = {
        name: _compute_rate_interval(scores[name], len(labels), of_days, confidence)
        for name, of_days in zip(scores, contributions, strict=True)
        if name in RATE_METRICS
    }
    return intervals | rates


def compute_defined_intervals(
    task: Task, labels: np.ndarray, predictions: np.ndarray, days: np.ndarray
) -> dict[str, Interval]:
    """Compute the metrics that are defined for these rows, with their intervals.

    Args:
        task: The task.
        labels: The labels [n], at least one.
        predictions: The predictions, float64 [n] or [n, classes].
        days: The day of each row, [n], numbers or dates whose order is that of time.

    Returns:
        The intervals by metric, the primary one first; of rows of a single class that one alone.
    """
    try:
        intervals = compute_metric_intervals(task, labels, predictions, days)
    except ValueError:
        name, losses, codes = get_primary_metric(task), compute_row_losses(task, labels, predictions), encode_days(days)
        return {name: compute_day_sum_interval(name, np.bincount(codes, losses), np.bincount(codes))}
    return {name: interval for name, interval in intervals.items() if not np.isnan(interval.value)}


def compute_day_sum_interval(metric: str, sums: np.ndarray, rows: np.ndarray) -> Interval:
    """Compute a metric that is a mean over rows, from sums by day, with the interval of `compute_metric_intervals`.

    Args:
        metric: The metric's name, by which its range is known.
        sums: Sums of the rows' values by day, float64 [days].
        rows: Numbers of rows by day, [days], each at least one.

    Returns:
        The mean with its interval.
    """
    units, total, count = _group_days(len(sums)), sums.sum(), rows.sum()
    with np.errstate(invalid="ignore"):
        left_out = (total - np.bincount(units, sums)) / (count - np.bincount(units, rows))
    contributions = _compute_pseudo_values(np.array([total / count]), left_out[None, :])
    if metric in RATE_METRICS:
        return _compute_rate_interval(float(total / count), float(count), contributions[0])
    low, high = compute_confidence_limits(contributions)
    return _clip_interval(metric, float(total / count), float(low[0]), float(high[0]))


def _group_days(count: int) -> np.ndarray:
    """Return the group of neighbours that each day is left out with: int64 [days]."""
    return np.arange(count) * min(count, MAX_JACKKNIFE_UNITS) // count


def _compute_pseudo_values(values: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Compute what each unit adds to values [k], from the values without it [k, units]: float64 [k, units]."""
    others = left_out.shape[1] - 1
    return np.asarray(values[:, None] - others * (left_out - left_out.mean(axis=1, keepdims=True)))


def _leave_out(
    task: Task, labels: np.ndarray, predictions: np.ndarray, kept: np.ndarray, order: np.ndarray | None
) -> dict[str, float]:
    """Compute the metrics of the rows that are kept, whose order follows from that of all; {} where none is defined."""
    of_kept = None if order is None else (np.cumsum(kept) - 1)[order[kept[order]]]
    try:
        return compute_metrics(task, labels[kept], predictions[kept], of_kept)
    except ValueError:
        return {}


def _compute_rate_interval(value: float, rows: float, contributions: np.ndarray, confidence: float = 0.95) -> Interval:
    """Compute the interval of a share of rows from each unit's contribution [units]; infinite of less than 3 blocks."""
    from scipy.special import stdtrit

    if (blocks := count_blocks(len(contributions))) < MIN_JOINT_BLOCKS or np.isnan(contributions).any():
        return Interval(value, -np.inf, np.inf)
    pulls, error = (contributions - value) / len(contributions), compute_standard_errors(contributions[None, :])[0]
    reach = float(stdtrit(blocks - 1, (1 + confidence) / 2))
    return Interval(value, *compute_clustered_limits(value, rows, pulls, float(error), reach))


def _clip_interval(name: str, value: float, low: float, high: float) -> Interval:
    least, most = (SIGNED_METRIC_RANGES | SHARE_METRIC_RANGES).get(name, (0.0, np.inf))
    is_extreme = name in SHARE_METRIC_RANGES and value in (least, most) and low == high  # no day says how others differ
    if is_extreme or not np.isfinite([low, high]).any():
        return Interval(value, -np.inf, np.inf)
    return Interval(value, max(float(low), least), min(float(high), most))
