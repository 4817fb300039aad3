"""The experiments: each a name and a function that returns an unfitted scikit-learn estimator.

The slowest candidates stand first: they are fitted side by side.
"""

from typing import Any

import polars as pl

from penumbra.patterns import Candidate, Columns

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


def recent_boosting(columns: Columns) -> Any:
    """Learns from the latest months only: see its window below."""
    return gradient_boosting(columns)


def tuned_boosting(columns: Columns) -> Any:
    return gradient_boosting(columns)


def boosting_space(trial: Any) -> dict[str, Any]:
    """What a search tries for boosting: few leaves and strong shrinkage to many leaves and weak."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 64, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 100, 3000, log=True),
        "max_features": trial.suggest_float("max_features", 0.1, 1.0),
        "l2_regularization": trial.suggest_float("l2_regularization", 1.0, 300.0, log=True),
    }


def reframed_boosting(columns: Columns) -> Any:
    """Learns the minutes late, answers the probability of more than 15."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    from penumbra.patterns import Reframed

    alike = gradient_boosting(columns).get_params()
    alike = {name: value for name, value in alike.items() if name not in ("class_weight", "loss")}
    return Reframed(HistGradientBoostingRegressor(**alike), above=15, scale=30)


def cascade(columns: Columns) -> Any:
    """Thirty small trees answer what they are sure of, three hundred large ones the rest."""
    from penumbra.patterns import Cascade

    cheap = gradient_boosting(columns).set_params(max_iter=30, max_leaf_nodes=8, learning_rate=0.15)
    expensive = deeper_boosting(columns).set_params(max_iter=300, learning_rate=0.02)
    return Cascade(cheap, expensive, budget=0.001)


def hard_negatives(columns: Columns) -> Any:
    """Flights that the live model got confidently wrong count twice."""
    from penumbra.patterns import HardNegatives

    return HardNegatives(gradient_boosting(columns), confident=0.15, noise=0.002)


def augmented_boosting(columns: Columns) -> Any:
    """Learns from flights in slightly different weather, too, and from some without any."""
    from penumbra.patterns import Augmented

    from .augment import augment

    return Augmented(gradient_boosting(columns), augment, columns, random_state=SEED)


def forest(columns: Columns) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(60, min_samples_leaf=100, max_features=0.3, max_samples=0.5, random_state=SEED)


def logistic_regression(columns: Columns) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    # Scaled before they are filled, so that the mark of a missing value stays 0 or 1, however rare it is.
    numbers = make_pipeline(StandardScaler(), SimpleImputer(strategy="median", add_indicator=True))
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
    "tuned_boosting": Candidate(tuned_boosting, search=boosting_space, trials=12),
    "cascade": Candidate(cascade),
    "hard_negatives": Candidate(hard_negatives),
    "reframed_boosting": Candidate(reframed_boosting, learns=pl.col("arr_delay")),
    "augmented_boosting": Candidate(augmented_boosting),
    "forest": Candidate(forest),
    "deeper_boosting": Candidate(deeper_boosting),
    "gradient_boosting": Candidate(gradient_boosting),
    "recent_boosting": Candidate(recent_boosting, window=3),
    "logistic_regression": Candidate(logistic_regression),
}
