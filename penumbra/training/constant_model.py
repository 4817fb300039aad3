"""The baseline where a problem has none of its own: the constant that does best by the loss."""

from typing import Any

from penumbra.core.metrics.loss_names import read_quantile_level
from penumbra.core.metrics.losses import get_primary_metric
from penumbra.core.task import Task


def build_constant_model(task: Task) -> Any:
    """Make an estimator that predicts the same whatever the inputs are.

    Args:
        task: The task, with its loss.

    Returns:
        An unfitted estimator of scikit-learn: the shares of the classes; of numbers the mean, the median or a quantile.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    if task.kind != "regression":
        return DummyClassifier(strategy="prior")
    loss = get_primary_metric(task)
    if (level := read_quantile_level(loss)) is not None:
        return DummyRegressor(strategy="quantile", quantile=level)
    return DummyRegressor(strategy="median" if loss == "absolute_error" else "mean")
