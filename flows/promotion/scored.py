"""Predictions and labels out of frames, and what the predictions cost."""

import numpy as np
import polars as pl

import problem.schema
from monitoring.losses import losses
from settings import Settings
from task import Task
from training.prepare import labels_of


def losses_of(chosen: Settings, labels: pl.Series, predictions: np.ndarray, ceiling: float) -> np.ndarray:
    """Float64 [n], NaN where there is no label or no prediction."""
    task, found = Task.of(problem.schema), np.full(len(labels), np.nan)
    known = labels.is_not_null().to_numpy() & _finite(predictions)
    of_known = labels_of(labels.alias("label").to_frame().filter(known), task)
    found[known] = losses(task, of_known, predictions[known], chosen.promotion.loss, ceiling)
    return found


def predictions_of(values: pl.Series) -> np.ndarray:
    """Float64 [n], or [n, classes] (see task.py); NaN for null."""
    task = Task.of(problem.schema)
    if task.kind == "multiclass":
        nothing = [np.nan] * len(task.classes)
        return np.array([nothing if value is None else value for value in values.to_list()]).reshape(
            -1, len(task.classes)
        )
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _finite(predictions: np.ndarray) -> np.ndarray:
    """Which rows have numbers, bool [n]."""
    return np.isfinite(np.atleast_2d(predictions.T)).all(axis=0)
