"""Rows as Evidently takes them: pandas, with the type of every column declared, since what it guesses takes small whole
numbers for categories."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from monitoring.reports.columns import ReportColumns
from monitoring.reports.quiet_import import import_quietly
from penumbra.core.task import Task

with import_quietly():
    from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression

REPORT_LABEL, REPORT_PREDICTION, REPORT_DECISION = "label", "prediction", "decision"


def build_dataset(rows: pl.DataFrame, task: Task, usable: ReportColumns, judge: bool) -> Dataset:
    """The usable columns; to `judge` predictions, label, prediction and decision with the role that each has."""
    return Dataset.from_pandas(_to_pandas(rows, task, usable, judge), data_definition=_definition(task, usable, judge))


def _definition(task: Task, usable: ReportColumns, judge: bool) -> DataDefinition:
    kinds: dict[str, Any] = {"numerical_columns": list(usable.numbers), "categorical_columns": list(usable.categories)}
    if not judge:
        return DataDefinition(**kinds)
    if task.kind == "regression":
        kinds["numerical_columns"] = [REPORT_LABEL, REPORT_PREDICTION]
        return DataDefinition(**kinds, regression=[Regression(target=REPORT_LABEL, prediction=REPORT_PREDICTION)])
    kinds["categorical_columns"] = [REPORT_LABEL, REPORT_DECISION]
    return DataDefinition(**kinds, classification=[_classes(task)])


def _classes(task: Task) -> Any:
    if task.kind == "binary":
        return BinaryClassification(
            target=REPORT_LABEL, prediction_labels=REPORT_DECISION, prediction_probas=REPORT_PREDICTION, pos_label=1
        )
    probabilities = list(task.classes) or None
    return MulticlassClassification(
        target=REPORT_LABEL, prediction_labels=REPORT_DECISION, prediction_probas=probabilities
    )


def _to_pandas(rows: pl.DataFrame, task: Task, usable: ReportColumns, judge: bool) -> pd.DataFrame:
    made = {name: _to_floats(rows[name]) for name in usable.numbers}
    made |= {name: _to_strings(rows[name]) for name in usable.categories}
    if judge:
        made |= _quality_columns(rows, task)
    return pd.DataFrame(made)


def _quality_columns(rows: pl.DataFrame, task: Task) -> dict[str, Any]:
    if task.kind == "regression":
        return {name: _to_floats(rows[name]) for name in (REPORT_LABEL, REPORT_PREDICTION)}
    if task.kind == "binary":
        both = {name: rows[name].cast(pl.Int64).to_numpy() for name in (REPORT_LABEL, REPORT_DECISION)}
        return {**both, REPORT_PREDICTION: _to_floats(rows[REPORT_PREDICTION])}
    return {name: _to_strings(rows[name]) for name in (REPORT_LABEL, REPORT_DECISION)} | {
        c: _to_floats(rows[c]) for c in task.classes
    }


def _to_floats(values: pl.Series) -> np.ndarray:
    """Float64, NaN for what is null or infinite."""
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _to_strings(values: pl.Series) -> np.ndarray:
    return np.array(values.cast(pl.String).to_list(), dtype=object)
