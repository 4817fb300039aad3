"""How sure a score is: intervals from a bootstrap over days. Rows of a day share weather and congestion, so that a day
is about one observation, whatever its number of rows (Cameron, Gelbach & Miller, "Bootstrap-based improvements for
inference with clustered errors", 2008; Field & Welsh, "Bootstrapping clustered data", 2007).

Drawing single days and reading off percentiles is not enough: with 30 days, of which each resembles the next one
(correlation 0.2) and some are much worse than others, two equal models then differ "significantly" at 5 % in 10 to 14 %
of all cases. What keeps the promise, for 20 days or more (simulated in tests/training/test_bootstrap.py):

- circular blocks of neighbouring days are drawn (Politis & Romano, "A circular block-resampling procedure", 1992),
  of five days, or of an eighth of all where that is more;
- each draw is studentised by its own spread (Götze & Künsch, "Second-order correctness of the blockwise bootstrap",
  1996);
- no limit is nearer than Student's t with one degree of freedom less than there are blocks puts it.

Metrics that are no means enter by their jackknife pseudo-values: each day's pull on the metric.
"""

import functools
from dataclasses import dataclass

import numpy as np

from penumbra.core.metrics.scores import compute_metrics
from penumbra.core.task import Task

BLOCK_DAYS, MAX_BLOCKS = 5, 8
BOOTSTRAP_REPLICATES = 1000
MAX_JACKKNIFE_UNITS = 50
SIGNED_METRIC_RANGES = {"r2": (-np.inf, 1.0), "bias": (-np.inf, np.inf)}
SHARE_METRIC_RANGES = dict.fromkeys(("roc_auc", "pr_auc", "accuracy", "calibration_error"), (0.0, 1.0))
BOOTSTRAP_SEED = 2013


@dataclass(frozen=True)
class Interval:
    """A value and the limits of its confidence interval; infinite where there are too few days to tell."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.3f}, {self.high:.3f}]"


def compute_mean_interval(values: np.ndarray, days: np.ndarray, confidence: float = 0.95) -> Interval:
    """The mean of the rows' values [n], say losses; `days` [n] are numbers or dates whose order is that of time."""
    pull = compute_day_contributions(values[None, :], days)
    low, high = compute_confidence_limits(pull, confidence)
    return Interval(float(pull.mean()), float(low[0]), float(high[0]))


def compare_paired_losses(
    losses: np.ndarray, others: np.ndarray, days: np.ndarray, confidence: float = 0.95
) -> Interval:
    """How much larger the losses [n] of one model are than those of another on the same rows, on average."""
    return compute_mean_interval(losses - others, days, confidence)


def compute_metric_intervals(
    task: Task, labels: np.ndarray, predictions: np.ndarray, days: np.ndarray, confidence: float = 0.95
) -> dict[str, Interval]:
    """Every metric of the task; one that isn't defined without some day may be anything. Of more than 50 days
    neighbours are taken together. Raises ValueError where `evaluate.scores` does."""
    scores = compute_metrics(task, labels, predictions)
    codes = _code_days(days)
    count = codes.max() + 1
    units = codes * min(count, MAX_JACKKNIFE_UNITS) // count
    without = [
        _metrics_or_empty(task, labels[kept], predictions[kept])
        for kept in (units != unit for unit in np.unique(units))
    ]
    left_out = np.array([[each.get(name, np.nan) for each in without] for name in scores])
    values = np.array([[value] for value in scores.values()])
    pulls = values - (len(without) - 1) * (left_out - left_out.mean(axis=1, keepdims=True))
    lows, highs = compute_confidence_limits(pulls, confidence)
    return {
        name: _clip_interval(name, *limits) for name, *limits in zip(scores, scores.values(), lows, highs, strict=True)
    }


def compute_day_contributions(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Each day's pull on the means of values [k, n]: float64 [k, days], oldest first, its mean over days the mean over
    rows. NaN marks rows that don't belong to one of the k; a day without rows pulls nowhere."""
    codes = _code_days(days)
    belongs = ~np.isnan(values)
    sums, rows = (
        np.array([np.bincount(codes, row, codes.max() + 1) for row in of])
        for of in (np.where(belongs, values, 0), belongs)
    )
    return convert_sums_to_contributions(sums, rows)


def convert_sums_to_contributions(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The same from each day's sums of values and numbers of rows, both [k, days]."""
    total = rows.sum(axis=1, keepdims=True)
    overall = sums.sum(axis=1, keepdims=True) / total
    return np.asarray(overall + (sums - overall * rows) * rows.shape[1] / total)


def compute_confidence_limits(pulls: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The two-sided limits, each float64 [k], of the means over days of pulls [k, days]; infinite with less than two
    blocks of days."""
    from scipy.special import stdtrit

    middle = pulls.mean(axis=1)
    if (blocks := count_blocks(pulls.shape[1])) < 2:
        return np.full(len(pulls), -np.inf), np.full(len(pulls), np.inf)
    spread, drawn = compute_standard_errors(pulls), draw_studentised_means(pulls)
    tail = (1 - confidence) / 2
    student = stdtrit(blocks - 1, 1 - tail)
    lower, upper = np.quantile(drawn, [tail, 1 - tail], axis=1)
    return middle - np.maximum(upper, student) * spread, middle + np.maximum(-lower, student) * spread


def compute_joint_limits(pulls: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Limits, each float64 [k], that hold for all k means together (Bonferroni). By Student's t: a thousand draws don't
    reach so far into the tails."""
    from scipy.special import stdtrit

    blocks = count_blocks(pulls.shape[1])
    if blocks < 2 or not len(pulls):
        return np.full(len(pulls), -np.inf), np.full(len(pulls), np.inf)
    reach = stdtrit(blocks - 1, 1 - (1 - confidence) / 2 / len(pulls)) * compute_standard_errors(pulls)
    return pulls.mean(axis=1) - reach, pulls.mean(axis=1) + reach


def compute_p_values(pulls: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """How likely means over days as large as those of pulls [k, days] would be, were they the margin: float64 [k], by
    Student's t; 1 with less than two blocks of days."""
    from scipy.special import stdtr

    if (blocks := count_blocks(pulls.shape[1])) < 2:
        return np.ones(len(pulls))
    above, spread = pulls.mean(axis=1) - margin, compute_standard_errors(pulls)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, stdtr(blocks - 1, -above / spread), above <= 0)


def count_blocks(days: int) -> int:
    return min(round(days / BLOCK_DAYS), MAX_BLOCKS)


def compute_standard_errors(pulls: np.ndarray) -> np.ndarray:
    """Of the means over days of pulls [k, days]: float64 [k]."""
    return np.sqrt((_block_means(pulls) ** 2).mean(axis=1) / (count_blocks(pulls.shape[1]) - 1))


def draw_studentised_means(pulls: np.ndarray) -> np.ndarray:
    """The draws' distances from the means over days of pulls [k, days], in the draws' own standard errors: float64
    [k, replicates]. The same draws serve all k."""
    blocks, means = count_blocks(pulls.shape[1]), _block_means(pulls)
    draws = _draw_block_weights(pulls.shape[1], blocks)
    distance = means @ draws
    spreads = np.sqrt(np.maximum(means**2 @ draws - distance**2, np.finfo(float).tiny) / (blocks - 1))
    return np.asarray(distance / spreads)


def _block_means(pulls: np.ndarray) -> np.ndarray:
    """The mean of the block that begins on each day, less the mean of all: float64 [k, days]."""
    days = pulls.shape[1]
    length = max(BLOCK_DAYS, round(days / count_blocks(days)))
    around = pulls - pulls.mean(axis=1, keepdims=True)
    circle = np.concatenate([around, around[:, : length - 1]], axis=1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(circle, length, axis=1).mean(axis=2))


@functools.cache
def _draw_block_weights(days: int, blocks: int) -> np.ndarray:
    """How large a part of each draw each block is: float64 [days, replicates], always the same."""
    drawn = np.random.default_rng(BOOTSTRAP_SEED).multinomial(blocks, np.full(days, 1 / days), BOOTSTRAP_REPLICATES)
    return np.asarray(drawn.T / blocks)


def _code_days(days: np.ndarray) -> np.ndarray:
    return np.unique(days, return_inverse=True)[1]


def _metrics_or_empty(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    try:
        return compute_metrics(task, labels, predictions)
    except ValueError:
        return {}


def _clip_interval(name: str, value: float, low: float, high: float) -> Interval:
    least, most = (SIGNED_METRIC_RANGES | SHARE_METRIC_RANGES).get(name, (0.0, np.inf))
    if np.isnan(low):
        return Interval(value, least, most)
    return Interval(value, max(float(low), least), min(float(high), most))
