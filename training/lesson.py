"""What an estimator learns from, and how it is taught."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Lesson:
    """Rows in the order of time: inputs float64 [n, k]; y [n], the labels or what a candidate learns instead; `live`
    float64 [n], what the live model predicted of rows that it hadn't learnt from, NaN where that isn't known."""

    inputs: np.ndarray
    y: np.ndarray
    live: np.ndarray | None = None

    def at(self, rows: Any) -> "Lesson":
        """Some of the rows, by position or mask."""
        return Lesson(self.inputs[rows], self.y[rows], None if self.live is None else self.live[rows])


def wants_live(estimator: Any) -> bool:
    """Does the estimator's `fit` take what the live model said of the rows?"""
    return "live" in inspect.signature(estimator.fit).parameters


def teach(estimator: Any, lesson: Lesson) -> None:
    """Fit, with the live model's predictions where the estimator wants them and they are known."""
    told = {"live": lesson.live} if lesson.live is not None and wants_live(estimator) else {}
    estimator.fit(lesson.inputs, lesson.y, **told)
