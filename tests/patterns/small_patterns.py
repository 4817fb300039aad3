"""The patterns on a small data set, for the tests of all of them."""

from types import SimpleNamespace

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from penumbra.patterns.augmentation import Augmented
from penumbra.patterns.cascade import Cascade
from penumbra.patterns.hard_negatives import HardNegatives
from penumbra.patterns.reframing import Reframed

COLUMNS = SimpleNamespace(names=["size", "colour"], categorical=[1], numeric=[0])
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(400, 2))
QUANTITY = 10 * INPUTS[:, 0] + RANDOM.normal(0, 5, 400)
LABELS = QUANTITY > 5


def leave_unchanged(matrix, columns, rng):
    return matrix


class RowRecorder(DummyClassifier):
    """Remembers how often it was shown each row."""

    def fit(self, inputs, y):
        self.rows_ = np.asarray(inputs)[:, 0].astype(int)
        return super().fit(inputs, y)


PATTERNS = {
    "reframed": Reframed(LinearRegression(), above=5, scale=10),
    "cascade": Cascade(LogisticRegression(C=0.001), LogisticRegression()),
    "hard negatives": HardNegatives(LogisticRegression()),
    "augmented": Augmented(LogisticRegression(), leave_unchanged, COLUMNS),
}


def fit_pattern(name):
    return clone(PATTERNS[name]).fit(INPUTS, QUANTITY if name == "reframed" else LABELS)


def compute_mean_log_loss(said, labels=LABELS):
    return -np.log(np.where(labels, said[:, 1], said[:, 0])).mean()
