"""The experiments: a linear model and a boosted one, beside the mean."""

from typing import Any

from examples.weather import make_scaler
from penumbra.patterns.candidate import Candidate, Columns


def ridge(columns: Columns) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    return make_pipeline(make_scaler(columns), Ridge())


def boosting(columns: Columns) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(categorical_features=columns.categorical, max_iter=40, random_state=1)


def baseline(columns: Columns) -> Any:
    """The mean, whatever the inputs."""
    from sklearn.dummy import DummyRegressor

    return DummyRegressor()


CANDIDATES = {"boosting": Candidate(boosting), "ridge": Candidate(ridge)}
