"""The experiments: a linear model and a boosted one, beside the share of each class."""

from typing import Any

from examples.weather import make_scaler
from penumbra.patterns.candidate import Candidate, Columns


def logistic(columns: Columns) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(make_scaler(columns), LogisticRegression(C=0.1))


def boosting(columns: Columns) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        categorical_features=columns.categorical, max_iter=20, max_leaf_nodes=6, learning_rate=0.05, random_state=1
    )


def baseline(columns: Columns) -> Any:
    """The share of each class, whatever the inputs."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


CANDIDATES = {"boosting": Candidate(boosting), "logistic": Candidate(logistic)}
