"""What classifiers of two classes have in common, whatever their probabilities come from."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class TwoClassClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of two classes whose inputs may be missing; a subclass has `fit` and `predict_proba`."""

    def predict(self, X: Any) -> np.ndarray:
        """Predict the likelier class.

        Args:
            X: float64 [n, k], NaN allowed.

        Returns:
            Classes [n].
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class, tags.input_tags.allow_nan = False, True
        return tags
