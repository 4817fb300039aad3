"""Hard negative mining: what was got confidently wrong counts more, unless its label is doubtful."""

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from penumbra.patterns.out_of_sample import (
    compute_logits,
    fit_calibration,
    predict_out_of_sample,
    predict_scores,
    require_two_classes,
    set_binary_tags,
    stack_class_probabilities,
)


class HardNegatives(ClassifierMixin, BaseEstimator):
    """Learns from rows in which those that a model got confidently wrong stand `extra` times more.

    A row is hard where the truth was given a probability below `confident`: by the live model where its prediction is
    known, elsewhere by the estimator's own prediction ahead in time (see `penumbra.patterns.out_of_sample`). Two guards keep noise out:
    of the `noise` share of rows that were the furthest off, those are dropped whose label an independent model, the
    estimator ahead in time, finds wrong as well. Rows that stand several times distort probabilities: a logistic
    function, fitted to predictions ahead in time of all rows, puts them right (`penumbra.patterns.out_of_sample.fit_calibration`). Works with
    any estimator, as nothing but the rows changes.

    Sources: Shrivastava, Gupta & Girshick, "Training region-based object detectors with online hard example mining",
    CVPR 2016 (hard rows); Han et al., "Co-teaching: robust training of deep neural networks with extremely noisy
    labels", NeurIPS 2018 (the largest losses are noise); Northcutt, Jiang & Chuang, "Confident learning: estimating
    uncertainty in dataset labels", JAIR 70, 2021 (`doubtful`).
    """

    def __init__(
        self, estimator: Any, extra: int = 1, confident: float = 0.1, noise: float = 0.01, folds: int = 3
    ) -> None:
        self.estimator = estimator
        self.extra = extra
        self.confident = confident
        self.noise = noise
        self.folds = folds

    def fit(self, X: Any, y: Any, live: Any = None) -> "HardNegatives":
        """X float64 [n, k], NaN allowed, oldest first; y [n], two classes; `live` float64 [n], the live model's
        out-of-sample probability of the second class, NaN where it isn't known. Raises ValueError."""
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan")
        self.classes_ = require_two_classes(self, y)
        truth = y == self.classes_[1]
        own = predict_out_of_sample(self.estimator, X, y, self.folds)
        said = own if live is None else np.where(np.isfinite(live), live, own)
        copies = self._count_copies(said, own, truth)
        rows = np.repeat(np.arange(len(y)), copies)
        self.estimator_ = clone(self.estimator).fit(X[rows], y[rows])
        weighted = predict_out_of_sample(self.estimator, X, y, self.folds, copies), predict_scores(self.estimator_, X)
        self.slope_, self.intercept_ = fit_calibration(
            compute_logits(weighted[0]), compute_logits(weighted[1]), truth, self.folds
        )
        return self

    def _count_copies(self, said: np.ndarray, own: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """How often each row stands: int [n]; 0 is noise."""
        right = np.where(truth, said, 1 - said)
        hard = right < self.confident
        dropped = hard & (right < np.nanquantile(right, self.noise)) & find_label_issues(own, truth)
        kept = hard & ~dropped
        self.report_ = {"rows_weighted": float(kept.sum()), "rows_left_out_as_noise": float(dropped.sum())}
        return np.where(dropped, 0, 1 + self.extra * kept)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the two classes: float64 [n, 2]."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        return stack_class_probabilities(
            expit(self.slope_ * compute_logits(predict_scores(self.estimator_, X)) + self.intercept_)
        )

    def predict(self, X: Any) -> np.ndarray:
        said = self.predict_proba(X)
        return self.classes_[said.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        return set_binary_tags(super().__sklearn_tags__())


def find_label_issues(said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Rows that belong to the other class by confident learning: bool [n], False where `said` is NaN.

    `said` float64 [n] is the out-of-sample probability of True, `truth` bool [n] the label. A row is doubtful where the
    other class is given at least the probability that rows of that class are given on average.
    """
    known = np.isfinite(said)
    usual, unusual = said[known & truth].mean(), 1 - said[known & ~truth].mean()
    return np.where(truth, 1 - said >= unusual, said >= usual)
