"""The experiments: a boosted model and a linear one. Both have to beat one that looks at no input."""

from typing import Any

from penumbra.patterns import Candidate, Columns


def boosting(columns: Columns) -> Any:
    """Trees, each of which learns what those before it got wrong."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(categorical_features=columns.categorical, max_iter=60, random_state=1)


def linear(columns: Columns) -> Any:
    """Numbers filled and scaled, categories as indicators."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    inputs = ColumnTransformer([("categories", categories, columns.categorical), ("numbers", numbers, columns.numeric)])
    return make_pipeline(inputs, Ridge())


CANDIDATES = {"boosting": Candidate(boosting), "linear": Candidate(linear)}
