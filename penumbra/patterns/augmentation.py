"""Data augmentation: fit on altered copies of the rows as well."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from penumbra.patterns.candidate import Columns
from penumbra.patterns.weighting import fit_weighted

AlterFunction = Callable[[np.ndarray, Columns, np.random.Generator], np.ndarray]


class Augmented(MetaEstimatorMixin, BaseEstimator):
    """An estimator that is fitted on the rows and on altered copies of them.

    Only `fit` alters rows, never prediction or scoring. Labels stay the same. A copy stands right after its row, so
    that the order of time is kept.

    Args:
        estimator: Unfitted estimator.
        alter: A function (matrix float64 [n, k], columns, random generator) -> matrix [n, k]; it is given a copy that
            it may change.
        columns: The matrix's columns.
        copies: Number of altered copies of each row.
        random_state: Seed of the random generator.

    Source:
        Simard, Steinkraus & Platt, "Best practices for convolutional neural networks applied to visual document
        analysis", ICDAR 2003 (altered copies teach what doesn't matter).
    """

    def __init__(
        self, estimator: Any, alter: AlterFunction, columns: Columns, copies: int = 1, random_state: int | None = None
    ) -> None:
        self.estimator = estimator
        self.alter = alter
        self.columns = columns
        self.copies = copies
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Augmented":
        """Fit the estimator on rows and altered copies.

        Args:
            X: float64 [n, k], NaN for missing.
            y: The labels [n].
            sample_weight: How much each row counts, its copies likewise, float64 [n]; None for 1 each.

        Returns:
            The fitted estimator itself.

        Raises:
            ValueError: If `alter` returns another shape.
        """
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan")
        random = np.random.default_rng(self.random_state)
        altered = [self._altered(X, random) for _ in range(self.copies)]
        rows = np.stack([X, *altered], axis=1).reshape(-1, X.shape[1])
        weights = None if sample_weight is None else np.repeat(sample_weight, 1 + self.copies)
        self.estimator_ = fit_weighted(clone(self.estimator), rows, np.repeat(y, 1 + self.copies), weights)
        self.report_ = {"rows_added": float(len(X) * self.copies)}
        return self

    def _altered(self, inputs: np.ndarray, random: np.random.Generator) -> np.ndarray:
        altered = np.asarray(self.alter(inputs.copy(), self.columns, random))
        if altered.shape != inputs.shape:
            name = getattr(self.alter, "__name__", "alter")
            raise ValueError(f"{name} was given a matrix {inputs.shape} and returned {altered.shape}")
        return altered

    @property
    def classes_(self) -> np.ndarray:
        """The classes that the estimator has seen, [classes], in the order of the columns of its probabilities."""
        return self.estimator_.classes_

    def predict(self, X: Any) -> np.ndarray:
        """Predict with the fitted estimator.

        Args:
            X: float64 [n, k].

        Returns:
            Classes or values [n].
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities with the fitted estimator, where it has them.

        Args:
            X: float64 [n, k].

        Returns:
            float64 [n, classes].
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def __sklearn_tags__(self) -> Any:
        """The estimator's own tags: classifier or regressor, NaN allowed or not."""
        tags, within = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type, tags.classifier_tags = within.estimator_type, within.classifier_tags
        tags.regressor_tags, tags.input_tags.allow_nan = within.regressor_tags, within.input_tags.allow_nan
        return tags
