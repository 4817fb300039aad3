"""Data augmentation: learn from altered copies of the rows as well."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from penumbra.patterns.candidate import Columns

AlterFunction = Callable[[np.ndarray, Columns, np.random.Generator], np.ndarray]


class Augmented(MetaEstimatorMixin, BaseEstimator):
    """Fits the estimator on the rows and on `copies` altered copies of each.

    `alter` (matrix float64 [n, k], columns, random generator) -> matrix [n, k] is given a copy that it may change;
    labels stay as they are. Only `fit` calls it, so what is predicted, validated or tested is never altered. A copy
    stands right after its row: the order of time is kept.

    Source: Simard, Steinkraus & Platt, "Best practices for convolutional neural networks applied to visual document
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

    def fit(self, X: Any, y: Any) -> "Augmented":
        """X float64 [n, k]; y [n]. Raises ValueError where `alter` gives another shape."""
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan")
        random = np.random.default_rng(self.random_state)
        altered = [self._altered(X, random) for _ in range(self.copies)]
        rows = np.stack([X, *altered], axis=1).reshape(-1, X.shape[1])
        self.estimator_ = clone(self.estimator).fit(rows, np.repeat(y, 1 + self.copies))
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
        return self.estimator_.classes_

    def predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def __sklearn_tags__(self) -> Any:
        """A classifier or a regressor, as the estimator is."""
        tags, within = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type, tags.classifier_tags = within.estimator_type, within.classifier_tags
        tags.regressor_tags, tags.input_tags.allow_nan = within.regressor_tags, within.input_tags.allow_nan
        return tags
