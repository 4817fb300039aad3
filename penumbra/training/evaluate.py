"""Trials: an estimator is fitted on some rows and scored on later ones; and the table of their scores."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penumbra.core.metrics.curves import compute_curves
from penumbra.core.metrics.scores import compute_metrics
from penumbra.core.task import Task
from penumbra.training.bootstrap import Interval
from penumbra.training.fit import TrainingSet, fit_estimator

EvaluationSet = tuple[np.ndarray, np.ndarray]
"""Inputs float64 [n, k] and labels [n] (penumbra/core/task.py) of the rows to score on."""
ModelScores = Sequence[tuple[str, Mapping[str, float | Interval]]]
"""Each model's name, and its scores by metric."""
METRIC_TITLES = {
    "log_loss": "log-loss",
    "brier": "Brier",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "accuracy": "accuracy",
    "calibration_error": "calibration",
    "squared_error": "squared error",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "bias": "bias",
}


@dataclass(frozen=True)
class TrialJob:
    """A candidate to try.

    Args:
        candidate: Its name.
        seed: Seed of the search that found the parameters; None without a search.
        parameters: Parameters for the estimator's `set_params`.
    """

    candidate: str
    seed: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """The candidate's name, with the seed where there is one."""
        return self.candidate if self.seed is None else f"{self.candidate}-{self.seed}"


@dataclass(frozen=True)
class Trial:
    """The result of a job.

    Args:
        job: The job.
        began: Start, in seconds since the epoch.
        ended: End, in seconds since the epoch.
        fit_seconds: How long fitting took.
        scores: The task's metrics by name, the primary one first.
        curves: Points of the task's curves by name.
        report: Figures that the fitted estimator reports of itself (`report_`).
    """

    job: TrialJob
    began: float
    ended: float
    fit_seconds: float
    scores: dict[str, float]
    curves: dict[str, list[dict[str, float]]]
    report: Mapping[str, float] = field(default_factory=dict)

    @property
    def candidate(self) -> str:
        """The candidate's name."""
        return self.job.candidate

    @property
    def loss(self) -> float:
        """The primary metric, see `penumbra.core.metrics.get_primary_metric`."""
        return next(iter(self.scores.values()))


def run_trial(
    job: TrialJob, task: Task, estimator: Any, training: TrainingSet, evaluation: EvaluationSet
) -> tuple[Trial, np.ndarray]:
    """Fit an estimator and score it on other rows.

    Args:
        job: The job that it is the estimator of.
        task: The task.
        estimator: Unfitted scikit-learn estimator.
        training: The rows to fit on.
        evaluation: The rows to score on.

    Returns:
        The trial, and the predictions of the rows scored on, in the task's shape.

    Raises:
        ValueError: If a class is missing from the training rows, or the rows to score on have only one class or are
            none.
    """
    began = time.time()
    fit_estimator(estimator, training)
    fit_seconds = time.time() - began
    inputs, labels = evaluation
    predictions = predict_for_task(task, estimator, inputs)
    results = compute_metrics(task, labels, predictions), compute_curves(task, labels, predictions)
    report = dict(getattr(estimator, "report_", {}))
    return Trial(job, began, time.time(), fit_seconds, *results, report), predictions


def score_predictions(name: str, task: Task, labels: np.ndarray, predictions: np.ndarray) -> Trial:
    """Score predictions that already exist.

    Args:
        name: Name of the model that they are of.
        task: The task.
        labels: The labels [n].
        predictions: The predictions, in the task's shape.

    Returns:
        A trial without fitting.

    Raises:
        ValueError: If there are no rows, or only one class among them.
    """
    now = time.time()
    results = compute_metrics(task, labels, predictions), compute_curves(task, labels, predictions)
    return Trial(TrialJob(name), now, now, 0.0, *results)


def predict_for_task(task: Task, estimator: Any, inputs: np.ndarray) -> np.ndarray:
    """Predict in the task's shape.

    Args:
        task: The task, see penumbra/core/task.py.
        estimator: Fitted estimator.
        inputs: float64 [n, k].

    Returns:
        Values or probabilities of True, float64 [n]; or probabilities [n, classes].

    Raises:
        ValueError: If a multi-class estimator was fitted without some class.
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


def format_score_table(models: ModelScores) -> str:
    """Format scores as a table with a line for each model.

    Args:
        models: Each model's name and scores, which may have intervals. The first one has all metrics.

    Returns:
        The table, with a column for each metric in the order of the first model's.
    """
    names = list(models[0][1])
    cells = [["", *(METRIC_TITLES.get(name, name) for name in names)]]
    cells += [[model, *(_format_score(scores.get(name)) for name in names)] for model, scores in models]
    first, *rest = (max(map(len, column)) for column in zip(*cells, strict=True))
    widths = [max(width + 2, 13) for width in rest]
    return "\n".join(
        f"{model:<{first + 2}}" + "".join(f"{score:>{width}}" for score, width in zip(scores, widths, strict=True))
        for model, *scores in cells
    )


def _format_score(score: float | Interval | None) -> str:
    if score is None:
        return ""
    return str(score) if isinstance(score, Interval) else f"{score:.4f}"
