"""Conversion of rows to Evidently datasets: pandas frames with the type of every column declared.

Types are declared because Evidently, left to guess, takes small whole numbers for categories.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from monitoring.reports.columns import ReportColumns
from penumbra.core.columns import DECISION_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN, name_class_column
from penumbra.core.system.lazy_packages import SCIPY_PACKAGES, defer_modules
from penumbra.core.system.lean_imports import UNUSED_BY_REPORTS, hide_modules
from penumbra.core.task import Task
from penumbra.core.text.quoting import escape_text

EVIDENTLY_PACKAGES = (  # of which a report needs a part
    "evidently",
    *(f"evidently.{name}" for name in ("metrics", "presets", "sdk", "tests", "ui")),
    *(f"evidently.legacy.{name}" for name in ("descriptors", "features", "metric_preset", "metrics", "report")),
    *(f"evidently.legacy.{name}" for name in ("test_preset", "test_suite", "tests", "ui.dashboards")),
    *("evidently.legacy.calculations.stattests", "plotly.figure_factory"),
    *("sklearn.metrics", "sklearn.preprocessing", *SCIPY_PACKAGES),
)

# Evidently uses deprecated parts of its dependencies, and of SciPy and scikit-learn some that few reports call or none.
with warnings.catch_warnings(), hide_modules(UNUSED_BY_REPORTS):
    warnings.simplefilter("ignore")
    defer_modules(*EVIDENTLY_PACKAGES)
    from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression


def build_dataset(rows: pl.DataFrame, task: Task, usable: ReportColumns, judge: bool) -> Dataset:
    """Convert rows to an Evidently dataset.

    Args:
        rows: Rows with the usable columns and, to judge predictions, those of `build_report_frame`.
        task: The kind of prediction.
        usable: The columns to take over, by type.
        judge: Whether the dataset is for judging predictions. Then label, prediction and decision are added, each
            declared in its role.

    Returns:
        The dataset; numbers are float64 (NaN for null and infinite), categories objects (None for null), escaped,
        because charts take some text for markup.
    """
    return Dataset.from_pandas(_to_pandas(rows, task, usable, judge), data_definition=_definition(task, usable, judge))


def _definition(task: Task, usable: ReportColumns, judge: bool) -> DataDefinition:
    types: dict[str, Any] = {"numerical_columns": list(usable.numbers), "categorical_columns": list(usable.categories)}
    if not judge:
        return DataDefinition(**types)
    if task.kind == "regression":
        types["numerical_columns"] = [LABEL_COLUMN, PREDICTION_COLUMN]
        return DataDefinition(**types, regression=[Regression(target=LABEL_COLUMN, prediction=PREDICTION_COLUMN)])
    types["categorical_columns"] = [LABEL_COLUMN, DECISION_COLUMN]
    return DataDefinition(**types, classification=[_classes(task)])


def _classes(task: Task) -> Any:
    if task.kind == "binary":
        return BinaryClassification(
            target=LABEL_COLUMN, prediction_labels=DECISION_COLUMN, prediction_probas=PREDICTION_COLUMN, pos_label=1
        )
    if len(task.classes) == 2:  # of two, Evidently wants to know which is positive
        positive = task.classes[1]
        return BinaryClassification(
            target=LABEL_COLUMN, prediction_labels=DECISION_COLUMN, prediction_probas=positive, pos_label=positive
        )
    probabilities = list(task.classes) or None
    return MulticlassClassification(
        target=LABEL_COLUMN, prediction_labels=DECISION_COLUMN, prediction_probas=probabilities
    )


def _to_pandas(rows: pl.DataFrame, task: Task, usable: ReportColumns, judge: bool) -> pd.DataFrame:
    columns = {name: _to_floats(rows[name]) for name in usable.numbers}
    columns |= {name: _to_escaped_strings(rows[name]) for name in usable.categories}
    if judge:
        columns |= _quality_columns(rows, task)
    return pd.DataFrame(columns)


def _quality_columns(rows: pl.DataFrame, task: Task) -> dict[str, Any]:
    if task.kind == "regression":
        return {name: _to_floats(rows[name]) for name in (LABEL_COLUMN, PREDICTION_COLUMN)}
    if task.kind == "binary":
        classes = {name: rows[name].cast(pl.Int64).to_numpy() for name in (LABEL_COLUMN, DECISION_COLUMN)}
        return {**classes, PREDICTION_COLUMN: _to_floats(rows[PREDICTION_COLUMN])}
    return {name: _to_strings(rows[name]) for name in (LABEL_COLUMN, DECISION_COLUMN)} | {
        name: _to_floats(rows[name_class_column(name)]) for name in task.classes
    }


def _to_floats(values: pl.Series) -> np.ndarray:
    """Float64 [n], NaN for what is null or infinite."""
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _to_strings(values: pl.Series) -> np.ndarray:
    """Object [n] of str, None for null."""
    return np.array(values.cast(pl.String).to_list(), dtype=object)


def _to_escaped_strings(values: pl.Series) -> np.ndarray:
    """Object [n] of str, None for null: values of clients, as `escape_text` writes them."""
    known = values.cast(pl.String).unique().drop_nulls().to_list()
    shown = {value: escape_text(value) for value in known}
    return np.array([shown.get(value) for value in _to_strings(values)], dtype=object)
