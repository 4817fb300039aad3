"""A cascade: a cheap model answers what it is sure of, an expensive one the rest."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.task import Task
from penumbra.patterns.out_of_sample import predict_scores, require_two_classes, set_binary_tags

MAX_THRESHOLDS = 256  # thresholds that are tried on each side
MIN_THRESHOLD_GAP = 1e-9


class Cascade(ClassifierMixin, BaseEstimator):
    """The cheap model's probability stands where it is below `low` or above `high`; elsewhere the expensive one's.

    The two thresholds are settings on the latest `tail` of the training rows (oldest first), on which neither model was
    fitted: those that let the cheap model answer most rows while the mean log-loss is at most `budget` (nats) above
    that of the expensive model alone. Then both are fitted on everything.

    Sources: Viola & Jones, "Rapid object detection using a boosted cascade of simple features", CVPR 2001; Lakshmanan,
    Robinson & Munn, "Machine Learning Design Patterns", 2020.
    """

    def __init__(self, cheap: Any, expensive: Any, budget: float = 0.001, tail: float = 0.25) -> None:
        self.cheap = cheap
        self.expensive = expensive
        self.budget = budget
        self.tail = tail

    def fit(self, X: Any, y: Any) -> "Cascade":
        """X float64 [n, k], NaN allowed; y [n], two classes. Raises ValueError for more or fewer."""
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan")
        self.classes_ = require_two_classes(self, y)
        first = len(y) - max(1, int(len(y) * self.tail))
        said = [
            predict_scores(clone(each).fit(X[:first], y[:first]), X[first:]) for each in (self.cheap, self.expensive)
        ]
        truth = y[first:] == self.classes_[1]
        cheap, expensive = (compute_row_losses(Task("binary"), truth, each) for each in said)
        self.report_ = choose_thresholds(said[0], cheap - expensive, self.budget)
        self.cheap_ = clone(self.cheap).fit(X, y)
        self.expensive_ = clone(self.expensive).fit(X, y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the two classes: float64 [n, 2]."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        said = np.array(self.cheap_.predict_proba(X), float)
        rest = ~self._is_cheap_sure(said[:, 1])
        if rest.any():
            said[rest] = self.expensive_.predict_proba(X[rest])
        return said

    def predict(self, X: Any) -> np.ndarray:
        said = self.predict_proba(X)
        return self.classes_[said.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        return set_binary_tags(super().__sklearn_tags__())

    def mask_cheap_rows(self, X: Any) -> np.ndarray:
        """Which rows the cheap model answers: bool [n]."""
        return self._is_cheap_sure(predict_scores(self.cheap_, X))

    def _is_cheap_sure(self, probabilities: np.ndarray) -> np.ndarray:
        return (probabilities < self.report_["low"]) | (probabilities > self.report_["high"])


def choose_thresholds(cheap: np.ndarray, excess: np.ndarray, budget: float) -> dict[str, float]:
    """`low` and `high`, between which the expensive model has to answer, and what they do to the rows given.

    `cheap` float64 [n] are the cheap model's probabilities, `excess` float64 [n] its loss less the expensive model's.
    Of all pairs from a grid of quantiles, that one is taken which leaves the fewest rows to the expensive model at a
    mean excess of at most `budget`.
    """
    order = np.argsort(cheap)
    known, total = cheap[order], np.concatenate([[0.0], np.cumsum(excess[order])])
    edges = _candidate_thresholds(known)
    below, above = np.searchsorted(known, edges, "left"), np.searchsorted(known, edges, "right")
    spent = (total[below][:, None] + total[-1] - total[above][None, :]) / len(cheap)
    share = (below[:, None] + len(cheap) - above[None, :]) / len(cheap)
    allowed = (spent <= budget) & (edges[:, None] <= edges[None, :])
    low, high = np.unravel_index(np.argmax(np.where(allowed, share, -1.0)), share.shape)
    return {
        "low": float(edges[low]),
        "high": float(edges[high]),
        "cheap_share": float(share[low, high]),
        "expensive_share": 1 - float(share[low, high]),
        "loss_above_expensive": float(spent[low, high]),
    }


def _candidate_thresholds(probabilities: np.ndarray) -> np.ndarray:
    """-1 and 2, beyond which no probability lies, and points half-way between neighbours that rounding can't swap: a
    compiled model's last bit must not decide who answers."""
    distinct = np.unique(probabilities)
    between = ((distinct[1:] + distinct[:-1]) / 2)[np.diff(distinct) > MIN_THRESHOLD_GAP]
    settings = np.unique(np.linspace(0, len(between) - 1, min(len(between), MAX_THRESHOLDS)).astype(int))
    return np.concatenate([[-1.0], between[settings], [2.0]])
