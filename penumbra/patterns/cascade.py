"""A cascade: a cheap model answers the rows that it is sure of, an expensive one the rest."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data

from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.task import Task
from penumbra.patterns.out_of_sample import predict_scores, require_two_classes
from penumbra.patterns.two_classes import TwoClassClassifier
from penumbra.patterns.weighting import fit_weighted, select_weights

MAX_THRESHOLDS = 256  # thresholds that are tried on each side
MIN_THRESHOLD_GAP = 1e-9


class Cascade(TwoClassClassifier):
    """A classifier in which a cheap model answers below `low` and above `high`, and an expensive one the rows between.

    The two thresholds are chosen on the latest `tail` of the training rows (oldest first), on which neither model was
    fitted. Then both are fitted on everything.

    Args:
        cheap: Unfitted classifier.
        expensive: Unfitted classifier.
        budget: By how much the mean log-loss (nats) may be above that of the expensive model alone; the cheap model
            answers as many rows as that allows.
        tail: The share of the rows that thresholds are chosen on.

    Source:
        Viola & Jones, "Rapid object detection using a boosted cascade of simple features", CVPR 2001; Lakshmanan,
        Robinson & Munn, "Machine Learning Design Patterns", 2020.
    """

    def __init__(self, cheap: Any, expensive: Any, budget: float = 0.001, tail: float = 0.25) -> None:
        self.cheap = cheap
        self.expensive = expensive
        self.budget = budget
        self.tail = tail

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Cascade":
        """Choose the thresholds, and fit both models.

        Args:
            X: float64 [n, k], NaN allowed, oldest row first.
            y: The labels [n], two classes.
            sample_weight: How much each row counts, float64 [n]; None for 1 each.

        Returns:
            The fitted cascade itself.

        Raises:
            ValueError: If there are more or fewer classes than two.
        """
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan")
        self.classes_ = require_two_classes(self, y)
        first = len(y) - max(1, int(len(y) * self.tail))
        early, late = select_weights(sample_weight, slice(first)), select_weights(sample_weight, slice(first, None))
        said = [
            predict_scores(fit_weighted(clone(each), X[:first], y[:first], early), X[first:])
            for each in (self.cheap, self.expensive)
        ]
        truth = y[first:] == self.classes_[1]
        cheap, expensive = (compute_row_losses(Task("binary"), truth, each) for each in said)
        self.report_ = choose_thresholds(said[0], cheap - expensive, self.budget, late)
        self.cheap_ = fit_weighted(clone(self.cheap), X, y, sample_weight)
        self.expensive_ = fit_weighted(clone(self.expensive), X, y, sample_weight)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities of the two classes.

        Args:
            X: float64 [n, k], NaN allowed.

        Returns:
            float64 [n, 2].
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        probabilities = np.array(self.cheap_.predict_proba(X), float)
        rest = ~self._is_cheap_sure(probabilities[:, 1])
        if rest.any():
            probabilities[rest] = self.expensive_.predict_proba(X[rest])
        return probabilities

    def mask_cheap_rows(self, X: Any) -> np.ndarray:
        """Mark the rows that the cheap model answers.

        Args:
            X: float64 [n, k], NaN allowed.

        Returns:
            bool [n].
        """
        return self._is_cheap_sure(predict_scores(self.cheap_, X))

    def _is_cheap_sure(self, probabilities: np.ndarray) -> np.ndarray:
        return (probabilities < self.report_["low"]) | (probabilities > self.report_["high"])


def choose_thresholds(
    cheap: np.ndarray, excess: np.ndarray, budget: float, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Choose the thresholds between which the expensive model has to answer.

    Of all pairs from a grid of quantiles it takes the one that leaves the fewest rows to the expensive model at a mean
    excess of at most the budget.

    Args:
        cheap: The cheap model's probabilities, float64 [n].
        excess: Its loss less the expensive model's, float64 [n].
        budget: The largest mean excess.
        weights: How much each row counts, float64 [n]; 1 by default.

    Returns:
        `low` and `high`; and for these rows `cheap_share` and `expensive_share`, the shares that each model answers,
        and `loss_above_expensive`, the mean excess.
    """
    order = np.argsort(cheap)
    counts = np.ones(len(cheap)) if weights is None else weights[order]
    known, total, size = cheap[order], _sum_up(excess[order] * counts), _sum_up(counts)
    edges = _candidate_thresholds(known)
    below, above = np.searchsorted(known, edges, "left"), np.searchsorted(known, edges, "right")
    spent, share = ((each[below][:, None] + each[-1] - each[above][None, :]) / size[-1] for each in (total, size))
    allowed = (spent <= budget) & (edges[:, None] <= edges[None, :])
    low, high = np.unravel_index(np.argmax(np.where(allowed, share, -1.0)), share.shape)
    return {
        "low": float(edges[low]),
        "high": float(edges[high]),
        "cheap_share": float(share[low, high]),
        "expensive_share": 1 - float(share[low, high]),
        "loss_above_expensive": float(spent[low, high]),
    }


def _sum_up(values: np.ndarray) -> np.ndarray:
    """Return the sum of no value, of the first, of the first two, …: float64 [n + 1]."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _candidate_thresholds(probabilities: np.ndarray) -> np.ndarray:
    """List -1 and 2, beyond which no probability lies, and points half-way between neighbours that rounding can't swap:
    a compiled model's last bit must not decide which model answers.
    """
    distinct = np.unique(probabilities)
    between = ((distinct[1:] + distinct[:-1]) / 2)[np.diff(distinct) > MIN_THRESHOLD_GAP]
    positions = np.unique(np.linspace(0, len(between) - 1, min(len(between), MAX_THRESHOLDS)).astype(int))
    return np.concatenate([[-1.0], between[positions], [2.0]])
