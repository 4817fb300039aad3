"""The experiments: each a name and a function that returns an unfitted scikit-learn estimator.

The slowest candidates stand first: they are fitted side by side.
"""

from typing import Any

from patterns.candidate import Candidate, Columns

SEED = 2013


def gradient_boosting(columns: Columns) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        categorical_features=columns.categorical,
        max_iter=200,
        learning_rate=0.03,
        max_leaf_nodes=16,
        max_features=0.2,
        min_samples_leaf=1000,
        l2_regularization=50.0,
        random_state=SEED,
    )


def deeper_boosting(columns: Columns) -> Any:
    return gradient_boosting(columns).set_params(max_leaf_nodes=31, min_samples_leaf=500, learning_rate=0.05)


def forest(columns: Columns) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(60, min_samples_leaf=100, max_features=0.3, max_samples=0.5, random_state=SEED)


def logistic_regression(columns: Columns) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        ColumnTransformer([("categories", categories, columns.categorical), ("numbers", numbers, columns.numeric)]),
        LogisticRegression(C=0.1, max_iter=300),
    )


def baseline(columns: Columns) -> Any:
    """The base rate, whatever the inputs: what every candidate must beat."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


CANDIDATES = {
    "forest": Candidate(forest),
    "deeper_boosting": Candidate(deeper_boosting),
    "gradient_boosting": Candidate(gradient_boosting),
    "logistic_regression": Candidate(logistic_regression),
}
