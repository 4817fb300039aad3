"""The experiments: a linear model and a boosted one, of the kind that the target asks for."""

from typing import Any

from penumbra.patterns import Candidate, Columns

from .schema import Labelled, target

IS_REGRESSION = Labelled.create_empty().select(target()).dtypes[0].is_numeric()


def linear(columns: Columns) -> Any:
    """Numbers filled and scaled, categories as indicators."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    scaled = ColumnTransformer([("categories", categories, columns.categorical), ("numbers", numbers, columns.numeric)])
    return make_pipeline(scaled, Ridge() if IS_REGRESSION else LogisticRegression(C=0.3))


def boosting(columns: Columns) -> Any:
    """A few small trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    boosted = HistGradientBoostingRegressor if IS_REGRESSION else HistGradientBoostingClassifier
    return boosted(
        categorical_features=columns.categorical, max_iter=30, max_leaf_nodes=6, min_samples_leaf=5, random_state=1
    )


CANDIDATES = {"boosting": Candidate(boosting), "linear": Candidate(linear)}
