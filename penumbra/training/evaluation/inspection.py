"""What a fitted model makes of its features on rows that it hasn't learnt from: permutation importance, dependence."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.inspection import permutation_importance

from penumbra.core.encoding import CategoryTables
from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.task import Task
from penumbra.training.evaluation.evaluate import EvaluationSet, predict_for_task
from penumbra.training.split import pick_evenly_spaced

SHUFFLES, PASSES = 3, 2  # of a feature; how often all rows could be predicted in the time that all shuffles take
MIN_ROWS, MAX_ROWS = 200, 2000  # that are shuffled
DEPENDENCE_ROWS, SHOWN_FEATURES, GRID_POINTS = 300, 4, 12
MISSING = "missing or unseen"
SEED = 0

logger = logging.getLogger(__name__)


def inspect_model(
    task: Task, estimator: Any, evaluation: EvaluationSet, names: Sequence[str], tables: CategoryTables
) -> dict[str, list[dict[str, Any]]]:
    """Measure what a model makes of its features.

    Args:
        task: The task.
        estimator: Fitted estimator, with a column for each class of the task.
        evaluation: Rows that it hasn't learnt from.
        names: The features, in the order of the columns.
        tables: The codes of each category by value.

    Returns:
        `importance`, as `measure_importance` gives it, and `dependence`, as `measure_dependence` does, of the most
        important features. Both are empty where the model fails on shuffled or changed rows, which is logged: no
        training ends for want of them.
    """
    try:
        importance = measure_importance(task, estimator, evaluation, names)
        shown = [row["feature"] for row in importance[:SHOWN_FEATURES]]
        dependence = measure_dependence(task, estimator, evaluation[0], names, tables, shown)
    except Exception:
        logger.exception("what the model makes of its features can't be measured, and isn't on the card")
        return {"importance": [], "dependence": []}
    return {"importance": importance, "dependence": dependence}


def measure_importance(
    task: Task, estimator: Any, evaluation: EvaluationSet, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Measure how much loss shuffling a feature costs.

    Args:
        task: The task.
        estimator: Fitted estimator, with a column for each class of the task.
        evaluation: Rows that it hasn't learnt from, of which some are taken, evenly spaced.
        names: The features, in the order of the columns.

    Returns:
        For each feature `feature`, `value` (the mean loss with the feature shuffled, less the loss as it is), and
        `low` and `high`, the least and the most of all shuffles; the largest value first.

    Source:
        Breiman, "Random Forests", Machine Learning 45, 2001; scikit-learn's `permutation_importance`.
    """
    total = len(evaluation[0])
    affordable = total * PASSES // (len(names) * SHUFFLES)
    chosen = pick_evenly_spaced(total, min(max(affordable, MIN_ROWS), MAX_ROWS))
    inputs, labels = (array[chosen] for array in evaluation)

    def score(fitted: Any, rows: np.ndarray, truth: np.ndarray) -> float:
        return -float(compute_row_losses(task, truth, predict_for_task(task, fitted, rows)).mean())

    found = permutation_importance(estimator, inputs, labels, scoring=score, n_repeats=SHUFFLES, random_state=SEED)
    rows = [
        {"feature": name, "value": float(each.mean()), "low": float(each.min()), "high": float(each.max())}
        for name, each in zip(names, found.importances, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["value"])


def measure_dependence(
    task: Task,
    estimator: Any,
    inputs: np.ndarray,
    names: Sequence[str],
    tables: CategoryTables,
    shown: Sequence[str],
) -> list[dict[str, Any]]:
    """Measure the mean prediction by the value of a feature, all else as it is.

    Args:
        task: The task.
        estimator: Fitted estimator, with a column for each class of the task.
        inputs: Rows that it hasn't learnt from, float64 [n, k], of which some are taken, evenly spaced.
        names: The features, in the order of the columns.
        tables: The codes of each category by value.
        shown: The features to measure.

    Returns:
        Points with `feature`, `value` (a number, or the text of a category), `predicted`, and `class`, which is empty
        where there is one prediction a row.

    Source:
        Friedman, "Greedy Function Approximation", Annals of Statistics 29, 2001. scikit-learn's `partial_dependence`
        has one line of two classes, and none of two rows.
    """
    few, classes = inputs[pick_evenly_spaced(len(inputs), DEPENDENCE_ROWS)], task.classes or ("",)
    points = []
    for name in shown:
        column = names.index(name)
        grid = _list_grid_values(inputs[:, column], name in tables)
        if len(grid) < 2:
            continue
        changed = np.tile(few, (len(grid), 1))
        changed[:, column] = np.repeat(grid, len(few))
        predicted = predict_for_task(task, estimator, changed).reshape(len(grid), len(few), len(classes))
        texts = {float(code): str(value) for value, code in tables.get(name, {}).items()}
        values = [texts.get(value, MISSING) if name in tables else value for value in grid.tolist()]
        points += [
            {"feature": name, "value": value, "predicted": mean, "class": of_class}
            for of_class, line in zip(classes, predicted.mean(axis=1).T.tolist(), strict=True)
            for value, mean in zip(values, line, strict=True)
        ]
    return points


def _list_grid_values(values: np.ndarray, is_category: bool) -> np.ndarray:
    """The most frequent codes of a category, or evenly spread quantiles of a number."""
    known = values[~np.isnan(values)]
    if not is_category:
        return np.unique(np.quantile(known, np.linspace(0.02, 0.98, GRID_POINTS))) if len(known) else known
    codes, counts = np.unique(known, return_counts=True)
    return np.asarray(codes[np.argsort(-counts, kind="stable")[:GRID_POINTS]])
