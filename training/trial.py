"""One trial: an estimator learns from some rows and is scored on later ones."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from task import Task
from training import evaluate

Rows = tuple[np.ndarray, np.ndarray]
TASK = Task("binary")


@dataclass(frozen=True)
class Trial:
    """What came of it; times in seconds, `began` and `ended` since the epoch."""

    candidate: str
    began: float
    ended: float
    fit_seconds: float
    scores: dict[str, float]
    curves: dict[str, list[dict[str, float]]]


def run(candidate: str, estimator: Any, learn: Rows, judge: Rows) -> tuple[Trial, np.ndarray]:
    """Fit on `learn`, score on `judge` (inputs float64 [n, k], labels bool [n]); also the probabilities, [n]."""
    began = time.time()
    estimator.fit(*learn)
    fit_seconds = time.time() - began
    probabilities = positive(estimator, judge[0])
    return scored(candidate, judge[1], probabilities, began, fit_seconds), probabilities


def scored(
    candidate: str, labels: np.ndarray, probabilities: np.ndarray, began: float = 0, fit_seconds: float = 0
) -> Trial:
    """A trial of probabilities that are there already; `labels` bool [n], `probabilities` float64 [n]."""
    scores, curves = evaluate.scores(TASK, labels, probabilities), evaluate.curves(TASK, labels, probabilities)
    return Trial(candidate, began or time.time(), time.time(), fit_seconds, scores, curves)


def positive(estimator: Any, inputs: np.ndarray) -> np.ndarray:
    """The probability of the positive class: float64 [n]."""
    return np.asarray(estimator.predict_proba(inputs)[:, 1])
