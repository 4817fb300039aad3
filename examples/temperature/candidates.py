"""The experiments: a linear model and a boosted one."""

from typing import Any

from penumbra.patterns import Candidate, Columns


def ridge(columns: Columns) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    return make_pipeline(scale_inputs(columns), Ridge())


def boosting(columns: Columns) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(categorical_features=columns.categorical, max_iter=40, random_state=1)


def scale_inputs(columns: Columns) -> Any:
    """Inputs for a linear model: numbers filled and scaled, categories as indicators."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer([("categories", categories, columns.categorical), ("numbers", numbers, columns.numeric)])


CANDIDATES = {"boosting": Candidate(boosting), "ridge": Candidate(ridge)}
