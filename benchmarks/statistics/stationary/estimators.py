"""Kinds of model for any task: step-shaped ones, whose scores have few values, and smooth ones."""

from typing import Any

from penumbra.core.task import Task
from penumbra.patterns import Columns

MODEL_KINDS = ("tree", "boosting 20", "boosting", "forest", "linear")


def make_estimator(kind: str, task: Task, columns: Columns) -> Any:
    """Make an unfitted estimator.

    Args:
        kind: One of `MODEL_KINDS`: a tree of depth 5, boosting of 20 trees, boosting as scikit-learn has it, a forest,
            or logistic or ridge regression.
        task: What is predicted.
        columns: The columns of the matrix.

    Returns:
        A scikit-learn estimator.
    """
    if kind == "linear":
        return _make_linear(task, columns)
    from sklearn import ensemble, tree

    suffix = "Regressor" if task.kind == "regression" else "Classifier"
    if kind == "tree":
        return getattr(tree, f"DecisionTree{suffix}")(max_depth=5, min_samples_leaf=5, random_state=0)
    if kind == "forest":
        return getattr(ensemble, f"RandomForest{suffix}")(30, min_samples_leaf=20, max_features=0.5, random_state=0)
    trees = {"max_iter": 20} if kind == "boosting 20" else {}
    boosting = getattr(ensemble, f"HistGradientBoosting{suffix}")
    return boosting(categorical_features=columns.categorical, random_state=0, **trees)


def _make_linear(task: Task, columns: Columns) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    scaled = ColumnTransformer([("categories", categories, columns.categorical), ("numbers", numbers, columns.numeric)])
    return make_pipeline(scaled, Ridge() if task.kind == "regression" else LogisticRegression(C=0.3, max_iter=300))
