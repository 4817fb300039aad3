"""Reframing: predict a quantity, output the probability that it exceeds a limit."""

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data

from penumbra.patterns.out_of_sample import (
    fit_calibration,
    predict_out_of_sample,
    stack_class_probabilities,
)
from penumbra.patterns.two_classes import TwoClassClassifier
from penumbra.patterns.weighting import fit_weighted


class Reframed(TwoClassClassifier):
    """A classifier that is fitted on the quantity behind a label.

    The quantity says more than the label: 16 minutes too long and 160 are both "too long". `fit` is given the quantity
    as y (see `Candidate.learns`), rows oldest first; the classes are False and True, True where the quantity exceeds
    `above`. The regressor is fitted on tanh((quantity - above) / scale), as what lies far from the limit says little
    about the side of it, and rare extremes would outweigh all else. A logistic function, fitted to out-of-sample
    predictions, turns its predictions into probabilities.

    Args:
        regressor: Unfitted regressor.
        above: The limit.
        scale: The distance from the limit at which the quantity begins to saturate.
        folds: Number of out-of-sample folds.

    Source:
        Lakshmanan, Robinson & Munn, "Machine Learning Design Patterns", 2020, chapter 3; for the probabilities see
        `penumbra.patterns.out_of_sample.fit_calibration`.
    """

    def __init__(self, regressor: Any, above: float = 0.0, scale: float = 1.0, folds: int = 3) -> None:
        self.regressor = regressor
        self.above = above
        self.scale = scale
        self.folds = folds

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Reframed":
        """Fit the regressor, and calibrate it.

        Args:
            X: float64 [n, k], NaN allowed, oldest row first.
            y: The quantity, finite numbers [n].
            sample_weight: How much each row counts, float64 [n]; None for 1 each.

        Returns:
            The fitted classifier itself.

        Raises:
            ValueError: All of the quantity is on one side of the limit.
        """
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan", y_numeric=True)
        if not y.min() <= self.above < y.max():
            raise ValueError(
                f"Reframed(above={self.above!r}) was given a quantity from {y.min():.6g} to {y.max():.6g}: expected a "
                "limit that some of it exceeds and some doesn't"
            )
        squashed = np.tanh((y - self.above) / self.scale)
        self.classes_ = np.array([False, True])
        self.regressor_ = fit_weighted(clone(self.regressor), X, squashed, sample_weight)
        predicted = predict_out_of_sample(self.regressor, X, squashed, self.folds, weights=sample_weight)
        self.slope_, self.intercept_ = fit_calibration(
            predicted, self.regressor_.predict(X), y > self.above, self.folds, sample_weight
        )
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probabilities that the quantity is at most the limit, and that it is above.

        Args:
            X: float64 [n, k], NaN allowed.

        Returns:
            float64 [n, 2].
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        return stack_class_probabilities(expit(self.slope_ * self.regressor_.predict(X) + self.intercept_))

    @property
    def report_(self) -> dict[str, float]:
        """The logistic function that turns the regressor's predictions into probabilities."""
        return {"calibration_slope": self.slope_, "calibration_intercept": self.intercept_}
