"""Weights that make a model's reference look like a window: the density ratio of their inputs.

A classifier that tells the window's rows from the reference's gives the ratio: its odds are how much more frequent such
rows are in the window. Rows of a day share what no other day has, so a classifier knows the days that it learnt from by
heart. So each stretch of days is judged by one that learnt from the others, and the log-odds are shrunk by the factor
that fits those judgements best. Without a shift that factor is near 0, and all rows weigh the same.

Source: Bickel, Brückner, Scheffer, "Discriminative learning under covariate shift", JMLR 10, 2009.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitoring.estimation.boosting import import_boosting, make_boosting_options
from penumbra.core.day_folds import FOLDS, assign_day_folds
from penumbra.core.encoding import fill_empty_columns

if TYPE_CHECKING:  # importing it takes longer than all that doesn't estimate
    from sklearn.ensemble import HistGradientBoostingClassifier

MAX_WEIGHT = 20.0  # times that of a row that is as frequent in the window as in the reference
SHRINKAGES = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class ShiftWeights:
    """Weights of reference rows.

    Attributes:
        weights: float64 [n], 1 on average.
        effective_rows: As many rows of equal weight would say as much about a mean.
        effective_days: As many days of equal weight would.
        covered: The share of the window whose like the reference has, 0 to 1: density ratios average to 1 over the
            reference where it has rows wherever the window has any.
    """

    weights: np.ndarray
    effective_rows: float
    effective_days: float
    covered: float

    @classmethod
    def from_rows(cls, weights: np.ndarray, days: np.ndarray) -> "ShiftWeights":
        """Scale weights, and measure what they leave of the reference.

        Args:
            weights: The density ratio of each row, float64 [n], not all 0.
            days: Each row's day, [n] of anything that sorts.

        Returns:
            The weights.
        """
        by_day = np.bincount(np.unique(days, return_inverse=True)[1], weights)
        rows, every_day = compute_effective_size(weights), compute_effective_size(by_day)
        return cls(weights / weights.mean(), rows, every_day, min(1.0, float(weights.mean())))


def compute_effective_size(weights: np.ndarray) -> float:
    """Compute how many equal weights would say as much about a mean.

    Args:
        weights: float64 [n], not all 0.

    Returns:
        A number from 1 to n.

    Source: Kish, *Survey Sampling*, 1965.
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def compute_shift_weights(
    reference: np.ndarray,
    reference_days: np.ndarray,
    window: np.ndarray,
    window_days: np.ndarray,
    categorical: Sequence[int],
) -> ShiftWeights:
    """Compute weights of reference rows by how much more frequent such rows are in a window.

    Args:
        reference: The reference's inputs, float64 [n, columns].
        reference_days: The day of each of its rows, [n].
        window: The window's inputs, float64 [m, columns].
        window_days: The day of each of its rows, [m].
        categorical: The positions of the columns of category codes.

    Returns:
        The weights; all equal where the window has fewer than three days, or without any column.
    """
    n = len(reference)
    rows, is_window = np.vstack([reference, window]), np.arange(n + len(window)) >= n
    folds = np.append(assign_day_folds(reference_days), assign_day_folds(window_days))
    if len(np.unique(window_days)) < FOLDS or not rows.shape[1]:
        return ShiftWeights.from_rows(np.ones(n), reference_days)
    balance = np.where(is_window, 1 / len(window), 1 / n) * len(rows) / 2
    log_odds = np.zeros(len(rows))
    for fold in range(FOLDS):
        learn = folds != fold
        known = fill_empty_columns(rows[learn])
        classifier = _make_classifier(int(learn.sum()), categorical).fit(known, is_window[learn])
        share = is_window[learn].mean()
        log_odds[~learn] = classifier.decision_function(rows[~learn]) - np.log(share / (1 - share))
    shrunk = _find_shrinkage(log_odds, is_window, balance) * log_odds[:n]
    return ShiftWeights.from_rows(np.minimum(np.exp(shrunk), MAX_WEIGHT), reference_days)


def _find_shrinkage(log_odds: np.ndarray, is_window: np.ndarray, balance: np.ndarray) -> float:
    """Find the factor of log-odds, 0 to 1, with the smallest log-loss."""
    against = np.where(is_window, -log_odds, log_odds)
    losses = [(balance * np.logaddexp(0, factor * against)).sum() for factor in SHRINKAGES]
    return float(SHRINKAGES[np.argmin(losses)])


def _make_classifier(rows: int, categorical: Sequence[int]) -> "HistGradientBoostingClassifier":
    options = make_boosting_options(rows, categorical)
    return import_boosting().HistGradientBoostingClassifier(max_iter=20, learning_rate=0.15, **options)
