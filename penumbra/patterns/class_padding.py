"""A classifier for all classes of a task, although the rows that it was fitted on had only some of them."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from penumbra.patterns.weighting import fit_weighted


class PaddedClasses(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probabilities have a column for each class; a class that it never saw has 0.

    Args:
        estimator: Fitted classifier, whose `classes_` are codes below `classes`.
        classes: Number of classes.
    """

    def __init__(self, estimator: Any, classes: int) -> None:
        self.estimator = estimator
        self.classes = classes

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "PaddedClasses":
        """Fit the estimator again.

        Args:
            X: float64 [n, k].
            y: Codes of classes [n].
            sample_weight: How much each row counts, float64 [n]; None for 1 each.

        Returns:
            The classifier itself.
        """
        fit_weighted(self.estimator, X, y, sample_weight)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """It is made of a fitted estimator."""
        return True

    @property
    def classes_(self) -> np.ndarray:
        """The codes of all classes, int64 [classes]."""
        return np.arange(self.classes)

    @property
    def selection(self) -> np.ndarray:
        """The matrix that moves each known class to its column, float64 [known, classes]."""
        return np.eye(self.classes)[np.asarray(self.estimator.classes_, int)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities.

        Args:
            X: float64 [n, k].

        Returns:
            float64 [n, classes].
        """
        return np.asarray(self.estimator.predict_proba(X)) @ self.selection

    def predict(self, X: Any) -> np.ndarray:
        """Predict the likeliest class.

        Args:
            X: float64 [n, k].

        Returns:
            int64 [n], codes.
        """
        return self.predict_proba(X).argmax(axis=1)


def pad_missing_classes(fitted: Any, classes: int) -> Any:
    """Give a classifier a column for each class of the task, if it lacks any.

    Args:
        fitted: Fitted estimator.
        classes: Number of classes of a multi-class task; 0 for other tasks.

    Returns:
        The same estimator, or one around it.
    """
    known = getattr(fitted, "classes_", None)
    if not classes or known is None or len(known) == classes:
        return fitted
    return PaddedClasses(fitted, classes)
