"""Histogram boosting of scikit-learn, for models that are fitted to watch another: loaded without the rest of it."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from penumbra.core.system.lazy_packages import SCIPY_PACKAGES, defer_modules
from penumbra.core.system.lean_imports import import_lean

BOOSTING_PACKAGES = (  # of which boosting needs a part
    *("sklearn.compose", "sklearn.decomposition", "sklearn.ensemble", "sklearn.linear_model", "sklearn.metrics"),
    *("sklearn.model_selection", "sklearn.neighbors", "sklearn.preprocessing", "sklearn.tree"),
)


def import_boosting() -> Any:
    """Import histogram boosting, which takes longer than all of the monitor that doesn't estimate.

    Returns:
        The module with `HistGradientBoostingClassifier` and `HistGradientBoostingRegressor`.
    """
    if "sklearn.ensemble" not in sys.modules:
        defer_modules(*SCIPY_PACKAGES, *BOOSTING_PACKAGES)
        import_lean("sklearn.ensemble", "HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
    return importlib.import_module("sklearn.ensemble")


def make_boosting_options(rows: int, categorical: Sequence[int]) -> dict[str, Any]:
    """Make the options that all histogram boosting on such matrices has: small trees, the same ones each time.

    Args:
        rows: The number of rows, of which a leaf has 1 % at least.
        categorical: The positions of the columns of category codes.

    Returns:
        Keyword arguments of scikit-learn's estimators.
    """
    return {
        "categorical_features": list(categorical),
        "max_leaf_nodes": 8,
        "min_samples_leaf": max(20, rows // 100),
        "l2_regularization": 10.0,
        "early_stopping": False,
        "random_state": 0,
    }
