"""Reframing: predict a quantity, answer the probability that it exceeds a limit."""

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from penumbra.patterns.out_of_sample import (
    fit_calibration,
    predict_out_of_sample,
    set_binary_tags,
    stack_class_probabilities,
)


class Reframed(ClassifierMixin, BaseEstimator):
    """A classifier that learns the quantity behind a label, which tells more than the label does: 16 minutes late and
    160 are both "late".

    `fit` is given the quantity as y (see `Candidate.learns`), rows oldest first; the classes are False and True, True
    where the quantity exceeds `above`. The regressor learns tanh((quantity - above) / scale), as what lies far from the
    limit says little about the side of it, and rare extremes would outweigh all else. A logistic function, fitted to
    predictions ahead in time (`folds` + 1 blocks of rows), makes probabilities of its answers.

    Source: Lakshmanan, Robinson & Munn, "Machine Learning Design Patterns", 2020, chapter 3; for the probabilities see
    `penumbra.patterns.out_of_sample.fit_calibration`.
    """

    def __init__(self, regressor: Any, above: float = 0.0, scale: float = 1.0, folds: int = 3) -> None:
        self.regressor = regressor
        self.above = above
        self.scale = scale
        self.folds = folds

    def fit(self, X: Any, y: Any) -> "Reframed":
        """X float64 [n, k], NaN allowed; y [n], finite numbers."""
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan", y_numeric=True)
        squashed = np.tanh((y - self.above) / self.scale)
        self.classes_ = np.array([False, True])
        self.regressor_ = clone(self.regressor).fit(X, squashed)
        said = predict_out_of_sample(self.regressor, X, squashed, self.folds)
        self.slope_, self.intercept_ = fit_calibration(said, self.regressor_.predict(X), y > self.above, self.folds)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities that the quantity is at most, and that it is above the limit: float64 [n, 2]."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        return stack_class_probabilities(expit(self.slope_ * self.regressor_.predict(X) + self.intercept_))

    def predict(self, X: Any) -> np.ndarray:
        return self.predict_proba(X)[:, 1] > 0.5

    def __sklearn_tags__(self) -> Any:
        return set_binary_tags(super().__sklearn_tags__())

    @property
    def report_(self) -> dict[str, float]:
        """The logistic function that makes probabilities of the regressor's answers."""
        return {"calibration_slope": self.slope_, "calibration_intercept": self.intercept_}
