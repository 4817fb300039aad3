"""Rows as Evidently takes them: pandas, with the type of every column declared, since what it guesses takes small whole
numbers for categories."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from monitoring.imports import quietly
from monitoring.reportable import Columns
from task import Task

with quietly():
    from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression

LABEL, PREDICTION, DECISION = "label", "prediction", "decision"


def dataset(rows: pl.DataFrame, task: Task, usable: Columns, judge: bool) -> Dataset:
    """The usable columns; to `judge` predictions, label, prediction and decision with the role that each has."""
    return Dataset.from_pandas(_pandas(rows, task, usable, judge), data_definition=_definition(task, usable, judge))


def _definition(task: Task, usable: Columns, judge: bool) -> DataDefinition:
    kinds: dict[str, Any] = {"numerical_columns": list(usable.numbers), "categorical_columns": list(usable.categories)}
    if not judge:
        return DataDefinition(**kinds)
    if task.kind == "regression":
        kinds["numerical_columns"] = [LABEL, PREDICTION]
        return DataDefinition(**kinds, regression=[Regression(target=LABEL, prediction=PREDICTION)])
    kinds["categorical_columns"] = [LABEL, DECISION]
    return DataDefinition(**kinds, classification=[_classes(task)])


def _classes(task: Task) -> Any:
    if task.kind == "binary":
        return BinaryClassification(target=LABEL, prediction_labels=DECISION, prediction_probas=PREDICTION, pos_label=1)
    probabilities = list(task.classes) or None
    return MulticlassClassification(target=LABEL, prediction_labels=DECISION, prediction_probas=probabilities)


def _pandas(rows: pl.DataFrame, task: Task, usable: Columns, judge: bool) -> pd.DataFrame:
    made = {name: _numbers(rows[name]) for name in usable.numbers}
    made |= {name: _texts(rows[name]) for name in usable.categories}
    if judge:
        made |= _judged(rows, task)
    return pd.DataFrame(made)


def _judged(rows: pl.DataFrame, task: Task) -> dict[str, Any]:
    if task.kind == "regression":
        return {name: _numbers(rows[name]) for name in (LABEL, PREDICTION)}
    if task.kind == "binary":
        both = {name: rows[name].cast(pl.Int64).to_numpy() for name in (LABEL, DECISION)}
        return {**both, PREDICTION: _numbers(rows[PREDICTION])}
    return {name: _texts(rows[name]) for name in (LABEL, DECISION)} | {c: _numbers(rows[c]) for c in task.classes}


def _numbers(values: pl.Series) -> np.ndarray:
    """Float64, NaN for what is null or infinite."""
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _texts(values: pl.Series) -> np.ndarray:
    return np.array(values.cast(pl.String).to_list(), dtype=object)
