"""The rows on their way into an estimator's fit: columns without a value, and weights, which some estimators refuse."""

import inspect
from typing import Any

import numpy as np

from penumbra.core.encoding import fill_empty_columns

INNER_NAMES = ("estimator", "regressor")  # how estimators around another name it


class WeightsRefused(TypeError):
    """An estimator's fit takes no weights, and rows have some; names it and the remedy."""


def fit_weighted(estimator: Any, inputs: np.ndarray, y: np.ndarray, weights: Any = None, **more: Any) -> Any:
    """Fit an estimator in place, with a weight for each row.

    Weights that are all 1 are left out: the fit is then, to the last bit, the one without weights, and takes no longer.
    A column without any value becomes a constant (see `fill_empty_columns`).

    Args:
        estimator: Unfitted scikit-learn estimator, or a pipeline whose last step is given the weights.
        inputs: float64 [n, k].
        y: Labels or values [n].
        weights: Above 0, float64 [n]; None for 1 each.
        more: Further arguments of its `fit`.

    Returns:
        The fitted estimator itself.

    Raises:
        WeightsRefused: Weights differ, and its `fit` has no parameter `sample_weight`.
    """
    return estimator.fit(fill_empty_columns(inputs), y, **more, **_build_weight_arguments(estimator, weights))


def select_weights(weights: Any, rows: Any) -> np.ndarray | None:
    """Select the weights of some rows.

    Args:
        weights: float64 [n], or None.
        rows: Their positions, a slice, or a mask bool [n].

    Returns:
        The weights of these rows; None for None.
    """
    return None if weights is None else np.asarray(weights, float)[rows]


def _build_weight_arguments(estimator: Any, weights: Any) -> dict[str, Any]:
    """The keyword arguments of `fit`, empty where all weights are 1."""
    if weights is None or (np.asarray(weights) == 1).all():
        return {}
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return {f"{name}__{key}": value for key, value in _build_weight_arguments(last, weights).items()}
    if not _takes_weights(estimator):
        raise WeightsRefused(
            f"{type(estimator).__name__} takes no weights of rows (its fit has no sample_weight), and some rows have "
            "others than 1: take an estimator that has it, or name only batches without them (docs/patterns.md)"
        )
    return {"sample_weight": np.asarray(weights, float)}


def _takes_weights(estimator: Any) -> bool:
    """Whether its `fit` has the parameter, or hands what it doesn't know to an estimator within that has it."""
    from sklearn.utils.validation import has_fit_parameter

    if has_fit_parameter(estimator, "sample_weight"):
        return True
    kinds = {parameter.kind for parameter in inspect.signature(estimator.fit).parameters.values()}
    inner = next((each for name in INNER_NAMES if (each := getattr(estimator, name, None)) is not None), None)
    return inspect.Parameter.VAR_KEYWORD in kinds and inner is not None and _takes_weights(inner)
