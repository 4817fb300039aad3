"""One trial: an estimator learns from some rows and is scored on later ones."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penumbra.core import metrics
from penumbra.core.task import Task
from penumbra.training.training_set import TrainingSet, fit_estimator

EvaluationSet = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TrialJob:
    """A candidate to be tried: as its recipe says, with parameters, or with what a search from this seed finds."""

    candidate: str
    seed: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.candidate if self.seed is None else f"{self.candidate}-{self.seed}"


@dataclass(frozen=True)
class Trial:
    """What came of a job; times in seconds, `began` and `ended` since the epoch. `report` is what the fitted estimator
    has to say of itself."""

    job: TrialJob
    began: float
    ended: float
    fit_seconds: float
    scores: dict[str, float]
    curves: dict[str, list[dict[str, float]]]
    report: Mapping[str, float] = field(default_factory=dict)

    @property
    def candidate(self) -> str:
        return self.job.candidate

    @property
    def loss(self) -> float:
        """The task's primary metric, which stands first (see evaluate.primary)."""
        return next(iter(self.scores.values()))


def run_trial(
    job: TrialJob, task: Task, estimator: Any, learn: TrainingSet, judge: EvaluationSet
) -> tuple[Trial, np.ndarray]:
    """Fit on `learn`, score on `judge` (inputs float64 [n, k], labels [n]); also the predictions of its rows."""
    began = time.time()
    fit_estimator(estimator, learn)
    fit_seconds = time.time() - began
    said = predict_for_task(task, estimator, judge[0])
    results = metrics.compute_metrics(task, judge[1], said), metrics.compute_curves(task, judge[1], said)
    return Trial(job, began, time.time(), fit_seconds, *results, dict(getattr(estimator, "report_", {}))), said


def score_predictions(name: str, task: Task, labels: np.ndarray, said: np.ndarray) -> Trial:
    """A trial of predictions that are there already."""
    now = time.time()
    results = metrics.compute_metrics(task, labels, said), metrics.compute_curves(task, labels, said)
    return Trial(TrialJob(name), now, now, 0.0, *results)


def predict_for_task(task: Task, estimator: Any, inputs: np.ndarray) -> np.ndarray:
    """What a fitted estimator predicts, in the task's shape (see penumbra/core/task.py).

    Raises ValueError where a classifier hasn't seen every class.
    """
    if task.kind == "regression":
        return np.asarray(estimator.predict(inputs), float)
    probabilities = np.asarray(estimator.predict_proba(inputs))
    if task.kind == "binary":
        return probabilities[:, 1]
    unseen = [name for code, name in enumerate(task.classes) if code not in estimator.classes_]
    if unseen:
        raise ValueError(f"the training rows have no {', '.join(unseen)}: every class of the target must occur in them")
    return probabilities
