"""Hard negative mining: confident mistakes count more, unless their label is doubtful."""

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data

from penumbra.patterns.out_of_sample import (
    compute_logits,
    fit_calibration,
    predict_out_of_sample,
    predict_scores,
    require_two_classes,
    stack_class_probabilities,
)
from penumbra.patterns.two_classes import TwoClassClassifier
from penumbra.patterns.weighting import fit_weighted, select_weights


class HardNegatives(TwoClassClassifier):
    """A classifier that is fitted on rows in which confident mistakes of another model are repeated.

    A row is hard if the truth was given a probability below `confident`: by the live model where its prediction is
    known, elsewhere by the estimator's own out-of-sample prediction. Two guards keep noise out: of the `noise` share of
    rows that were the furthest off, those are dropped whose label an independent model, the estimator out of sample,
    finds wrong as well. Repeated rows distort probabilities: a logistic function, fitted to out-of-sample predictions
    of all rows, corrects them (`penumbra.patterns.out_of_sample.fit_calibration`). Works with any estimator, as only
    the rows change.

    Args:
        estimator: Unfitted classifier.
        extra: How often a hard row is repeated.
        confident: The probability of the truth below which a row is hard.
        noise: The share of rows that may be noise.
        folds: Number of out-of-sample folds.

    Source:
        Hard rows: Shrivastava, Gupta & Girshick, "Training region-based object detectors with online hard example
        mining", CVPR 2016. The largest losses are noise: Han et al., "Co-teaching: robust training of deep neural
        networks with extremely noisy labels", NeurIPS 2018. Label issues: Northcutt, Jiang & Chuang, "Confident
        learning: estimating uncertainty in dataset labels", JAIR 70, 2021.
    """

    def __init__(
        self, estimator: Any, extra: int = 1, confident: float = 0.1, noise: float = 0.01, folds: int = 3
    ) -> None:
        self.estimator = estimator
        self.extra = extra
        self.confident = confident
        self.noise = noise
        self.folds = folds

    def fit(self, X: Any, y: Any, live: Any = None, sample_weight: Any = None) -> "HardNegatives":
        """Find the hard rows, fit the estimator, and calibrate it.

        Args:
            X: float64 [n, k], NaN allowed, oldest row first.
            y: The labels [n], two classes.
            live: The live model's out-of-sample probability of the second class, float64 [n], NaN where unknown.
            sample_weight: How much each row counts, float64 [n]; None for 1 each.

        Returns:
            The fitted classifier itself.

        Raises:
            ValueError: If there are more or fewer classes than two.
        """
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan")
        self.classes_ = require_two_classes(self, y)
        truth = y == self.classes_[1]
        own = predict_out_of_sample(self.estimator, X, y, self.folds, weights=sample_weight)
        predicted = own if live is None else np.where(np.isfinite(live), live, own)
        copies = self._count_copies(predicted, own, truth)
        rows = np.repeat(np.arange(len(y)), copies)
        self.estimator_ = fit_weighted(clone(self.estimator), X[rows], y[rows], select_weights(sample_weight, rows))
        repeated = predict_out_of_sample(self.estimator, X, y, self.folds, copies, sample_weight)
        final = predict_scores(self.estimator_, X)
        self.slope_, self.intercept_ = fit_calibration(
            compute_logits(repeated), compute_logits(final), truth, self.folds, sample_weight
        )
        return self

    def _count_copies(self, predicted: np.ndarray, own: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Count how often each row stands: int [n]; 0 is noise."""
        right = np.where(truth, predicted, 1 - predicted)
        hard = right < self.confident
        dropped = hard & (right < np.nanquantile(right, self.noise)) & find_label_issues(own, truth)
        kept = hard & ~dropped
        self.report_ = {"rows_weighted": float(kept.sum()), "rows_left_out_as_noise": float(dropped.sum())}
        return np.where(dropped, 0, 1 + self.extra * kept)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict calibrated probabilities of the two classes.

        Args:
            X: float64 [n, k], NaN allowed.

        Returns:
            float64 [n, 2].
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        return stack_class_probabilities(
            expit(self.slope_ * compute_logits(predict_scores(self.estimator_, X)) + self.intercept_)
        )


def find_label_issues(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Find rows that belong to the other class by confident learning.

    A row's label is doubtful if the other class is given at least the probability that rows of that class are given on
    average.

    Args:
        probabilities: The out-of-sample probability of True, float64 [n], NaN where unknown.
        truth: The label, bool [n].

    Returns:
        bool [n], False where `probabilities` is NaN.
    """
    known = np.isfinite(probabilities)
    usual, unusual = probabilities[known & truth].mean(), 1 - probabilities[known & ~truth].mean()
    return np.where(truth, 1 - probabilities >= unusual, probabilities >= usual)
