"""Confidence intervals of scores from a bootstrap over days.

Rows of a day share what happened on it, so that a day is about one observation, whatever its number of rows.

Drawing single days and reading off percentiles is not enough: with 30 days, of which each resembles the next one
(correlation 0.2) and some are much worse than others, two equal models then differ "significantly" at 5 % in 10 to 14 %
of all cases. What keeps the promise, for 20 days or more (simulated in tests/training/evaluation/test_bootstrap.py):

- circular blocks of neighbouring days are drawn, of five days, or of an eighth of all where that is more;
- each draw is studentised by its own spread;
- no limit is nearer than by Student's t with one degree of freedom less than there are blocks;
- there is no limit where the draws that decide have no spread of their own, as those of few days.

What metrics that are no means enter by is in metric_intervals.py.

Source:
    Days as clusters: Cameron, Gelbach & Miller, "Bootstrap-based improvements for inference with clustered errors",
    2008; Field & Welsh, "Bootstrapping clustered data", 2007. Blocks: Politis & Romano, "A circular block-resampling
    procedure", 1992. Studentising: Götze & Künsch, "Second-order correctness of the blockwise bootstrap", 1996.
"""

import functools
from dataclasses import dataclass

import numpy as np

from penumbra.core.text.intervals import format_limits, format_signed

BLOCK_DAYS, MAX_BLOCKS = 5, 8
JOINT_ERROR = 0.05  # of limits that hold together, both sides of all of them
MIN_JOINT_BLOCKS = 3  # for limits that hold together; of two blocks so many draws are alike that single ones have none
BOOTSTRAP_REPLICATES = 1000
BOOTSTRAP_SEED = 2013
MAX_STUDENTISED = 1000.0  # standard errors; draws beyond are of blocks that are all alike: they have no spread
ROUNDING = 1e-12  # of a mean: days that differ by no more are alike; sums of 20,000 equal rows a day do by 6e-14


@dataclass(frozen=True)
class Interval:
    """A value and its confidence interval.

    Args:
        value: The value.
        low: Lower limit; infinite where there are too few days to tell.
        high: Upper limit; infinite likewise.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Such as "0.4845 [0.470, 0.499]"; "0.4845 (no interval)" where there are too few days."""
        return f"{self.value:.4f} {format_limits(self.low, self.high, '{:.3f}'.format)}"

    def format_difference(self) -> str:
        """Format a difference.

        Returns:
            With signs, such as "+0.0123 [-0.0100, +0.0346]".
        """
        return f"{format_signed(self.value)} {format_limits(self.low, self.high, format_signed)}"


def compute_mean_interval(values: np.ndarray, days: np.ndarray, confidence: float = 0.95) -> Interval:
    """Compute the mean of values of rows, such as losses, and its interval.

    Args:
        values: float64 [n].
        days: The day of each row, [n], numbers or dates whose order is that of time.
        confidence: Two-sided confidence.

    Returns:
        The mean with its interval.
    """
    contributions = compute_day_contributions(values[None, :], days)
    low, high = compute_confidence_limits(contributions, confidence)
    return Interval(float(contributions.mean()), float(low[0]), float(high[0]))


def compare_paired_losses(
    losses: np.ndarray, others: np.ndarray, days: np.ndarray, confidence: float = 0.95
) -> Interval:
    """Compute the mean difference between two models' losses on the same rows, and its interval.

    Args:
        losses: One model's losses, float64 [n].
        others: The other model's losses, float64 [n].
        days: The day of each row, [n], numbers or dates whose order is that of time.
        confidence: Two-sided confidence.

    Returns:
        The mean of `losses` less `others`.
    """
    return compute_mean_interval(losses - others, days, confidence)


def compute_day_contributions(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Compute each day's contribution to the means of values.

    Args:
        values: float64 [k, n], NaN for rows that don't belong to one of the k.
        days: The day of each row, [n], numbers or dates whose order is that of time.

    Returns:
        float64 [k, days], oldest first. Its mean over days is the mean over rows; a day without rows contributes
        that mean.
    """
    codes = encode_days(days)
    belongs = ~np.isnan(values)
    sums, rows = (
        np.array([np.bincount(codes, row, codes.max() + 1) for row in of])
        for of in (np.where(belongs, values, 0), belongs)
    )
    return convert_sums_to_contributions(sums, rows)


def convert_sums_to_contributions(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Compute each day's contribution to means from sums by day.

    Args:
        sums: Sums of values by day, float64 [k, days].
        rows: Numbers of rows by day, [k, days].

    Returns:
        float64 [k, days], as `compute_day_contributions` gives them.
    """
    total = rows.sum(axis=1, keepdims=True)
    overall = sums.sum(axis=1, keepdims=True) / total
    return np.asarray(overall + (sums - overall * rows) * rows.shape[1] / total)


def compute_confidence_limits(contributions: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Compute two-sided confidence limits of means over days, by the studentised block bootstrap.

    Args:
        contributions: float64 [k, days], oldest first.
        confidence: Two-sided confidence.

    Returns:
        Lower and upper limits, each float64 [k]; infinite with fewer than two blocks of days, and where so many draws
        are of blocks that are all alike that these would decide.
    """
    from scipy.special import stdtrit

    middle = contributions.mean(axis=1)
    if (blocks := count_blocks(contributions.shape[1])) < 2:
        return np.full(len(contributions), -np.inf), np.full(len(contributions), np.inf)
    spread, drawn = compute_standard_errors(contributions), draw_studentised_means(contributions)
    tail = (1 - confidence) / 2
    student = stdtrit(blocks - 1, 1 - tail)
    lower, upper = np.quantile(drawn, [tail, 1 - tail], axis=1)
    spread = np.where(spread > ROUNDING * np.abs(middle), spread, 0)
    below, above = (_reach(np.maximum(each, student), spread) for each in (upper, -lower))
    return middle - below, middle + above


def compute_joint_limits(means: np.ndarray, errors: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute 95 % confidence limits that hold for all means over days together (Bonferroni).

    By Student's t: a thousand draws don't reach so far into the tails.

    Args:
        means: float64 [k].
        errors: Their standard errors, as `compute_standard_errors` gives them, float64 [k].
        days: Number of days.

    Returns:
        Lower and upper limits, each float64 [k]; infinite with fewer than three blocks of days.
    """
    from scipy.special import stdtrit

    blocks = count_blocks(days)
    if blocks < MIN_JOINT_BLOCKS or not len(means):
        return np.full(len(means), -np.inf), np.full(len(means), np.inf)
    reach = stdtrit(blocks - 1, 1 - JOINT_ERROR / 2 / len(means)) * errors
    return means - reach, means + reach


def compute_p_values(contributions: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """Compute one-sided p-values of means over days, by Student's t.

    Args:
        contributions: float64 [k, days], oldest first.
        margin: The mean under the null hypothesis.

    Returns:
        float64 [k]: how likely means as large or larger would be; 1 with fewer than two blocks of days.
    """
    from scipy.special import stdtr

    if (blocks := count_blocks(contributions.shape[1])) < 2:
        return np.ones(len(contributions))
    above, spread = contributions.mean(axis=1) - margin, compute_standard_errors(contributions)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, stdtr(blocks - 1, -above / spread), above <= 0)


def count_blocks(days: int) -> int:
    """Count the blocks of neighbouring days that are drawn together.

    Args:
        days: Number of days.

    Returns:
        One for each five days, at most eight.
    """
    return min(round(days / BLOCK_DAYS), MAX_BLOCKS)


def compute_standard_errors(contributions: np.ndarray) -> np.ndarray:
    """Compute the standard errors of means over days from the spread of block means.

    Args:
        contributions: float64 [k, days], oldest first.

    Returns:
        float64 [k]; infinite with fewer than two blocks of days.
    """
    if count_blocks(contributions.shape[1]) < 2:
        return np.full(len(contributions), np.inf)
    return np.sqrt((_block_means(contributions) ** 2).mean(axis=1) / (count_blocks(contributions.shape[1]) - 1))


def draw_studentised_means(contributions: np.ndarray) -> np.ndarray:
    """Draw bootstrap means over days, and studentise each by its own standard error. The same draws serve all k.

    Args:
        contributions: float64 [k, days], oldest first, of at least two blocks.

    Returns:
        float64 [k, replicates]: distances from the mean over days, in standard errors.
    """
    blocks, means = count_blocks(contributions.shape[1]), _block_means(contributions)
    draws = _draw_block_weights(contributions.shape[1], blocks)
    distance = means @ draws
    spreads = np.sqrt(np.maximum(means**2 @ draws - distance**2, np.finfo(float).tiny) / (blocks - 1))
    return np.asarray(distance / spreads)


def _reach(distances: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return how far a limit is from the mean: float64 [k], 0 where nothing varies."""
    return np.where(
        (distances > MAX_STUDENTISED) & (spread > 0), np.inf, np.minimum(distances, MAX_STUDENTISED) * spread
    )


def _block_means(contributions: np.ndarray) -> np.ndarray:
    """Compute the mean of the block that begins on each day, less the mean of all: float64 [k, days]."""
    days = contributions.shape[1]
    length = max(BLOCK_DAYS, round(days / count_blocks(days)))
    around = contributions - contributions.mean(axis=1, keepdims=True)
    circle = np.concatenate([around, around[:, : length - 1]], axis=1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(circle, length, axis=1).mean(axis=2))


@functools.cache
def _draw_block_weights(days: int, blocks: int) -> np.ndarray:
    """Draw the share of each block in each replicate: float64 [days, replicates], always the same."""
    drawn = np.random.default_rng(BOOTSTRAP_SEED).multinomial(blocks, np.full(days, 1 / days), BOOTSTRAP_REPLICATES)
    return np.asarray(drawn.T / blocks)


def encode_days(days: np.ndarray) -> np.ndarray:
    """Return the number of the day of each row, [n], from 0 on, of `days` whose order is that of time."""
    return np.unique(days, return_inverse=True)[1]
