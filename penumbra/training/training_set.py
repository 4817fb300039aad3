"""What an estimator learns from, and how it is taught."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TrainingSet:
    """Rows in the order of time: inputs float64 [n, k]; y [n], the labels or what a candidate learns instead; `live`
    float64 [n], what the live model predicted of rows that it hadn't learnt from, NaN where that isn't known."""

    inputs: np.ndarray
    y: np.ndarray
    live: np.ndarray | None = None

    def select_rows(self, rows: Any) -> "TrainingSet":
        """Some of the rows, by position or mask."""
        return TrainingSet(self.inputs[rows], self.y[rows], None if self.live is None else self.live[rows])


def accepts_live_predictions(estimator: Any) -> bool:
    """Does the estimator's `fit` take what the live model said of the rows?"""
    return "live" in inspect.signature(estimator.fit).parameters


def fit_estimator(estimator: Any, lesson: TrainingSet) -> None:
    """Fit, with the live model's predictions where the estimator wants them and they are known."""
    told = {"live": lesson.live} if lesson.live is not None and accepts_live_predictions(estimator) else {}
    estimator.fit(lesson.inputs, lesson.y, **told)
