"""Trials: an estimator is fitted on some rows and scored on later ones; and the table of their scores."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penumbra.core.metrics.curves import compute_curves
from penumbra.core.metrics.loss_names import LOSS_WORDS, describe_loss_name, read_quantile_level
from penumbra.core.metrics.scores import compute_defined_metrics
from penumbra.core.task import Task
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import escape_text
from penumbra.training.evaluation.bootstrap import Interval
from penumbra.training.fit import TrainingSet, fit_estimator

EvaluationSet = tuple[np.ndarray, np.ndarray]
"""Inputs float64 [n, k] and labels [n] (penumbra/core/task.py) of the rows to score on."""
ModelScores = Sequence[tuple[str, Mapping[str, float | Interval]]]
"""Each model's name, and its scores by metric."""
MIN_CLASS_ROWS = 20  # of a class, with which one row moves its ROC AUC by a twentieth at most
METRIC_TITLES = {
    "brier": "Brier",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "accuracy": "accuracy",
    "calibration_error": "calibration",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "bias": "bias",
    "coverage": "coverage",
}


PROBABILITY_SLACK = 1e-9


class UnsoundPredictions(ValueError):
    """An estimator's predictions have another shape, order or range than the task's."""


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
        cpu_seconds: Processor time of search, fit and scores, with that of processes that have ended; 0 without a fit.
    """

    job: TrialJob
    began: float
    ended: float
    fit_seconds: float
    scores: dict[str, float]
    curves: dict[str, list[dict[str, Any]]]
    report: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0

    @property
    def candidate(self) -> str:
        """The candidate's name."""
        return self.job.candidate

    @property
    def loss(self) -> float:
        """The primary metric, see `penumbra.core.metrics.losses.get_primary_metric`."""
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
        The trial, and the predictions of the rows scored on, in the task's shape. The scores are those that are defined
        for these rows; a class that the rows to fit on lack has the probability 0.

    Raises:
        UnsoundPredictions: If the predictions can't be used.
    """
    from penumbra.patterns.class_padding import pad_missing_classes

    began = time.time()
    fit_estimator(estimator, training)
    fit_seconds = time.time() - began
    inputs, labels = evaluation
    predictions = predict_soundly(task, pad_missing_classes(estimator, len(task.classes)), inputs)
    scores = compute_defined_metrics(task, labels, predictions)
    metric, loss = next(iter(scores.items()))
    if not np.isfinite(loss):
        raise UnsoundPredictions(f"its {get_metric_title(metric)} is {loss}")
    report = dict(getattr(estimator, "report_", {}))
    curves = compute_curves(task, labels, predictions)
    return Trial(job, began, time.time(), fit_seconds, scores, curves, report), predictions


def score_predictions(name: str, task: Task, labels: np.ndarray, predictions: np.ndarray) -> Trial:
    """Score predictions that already exist.

    Args:
        name: Name of the model that they are of.
        task: The task.
        labels: The labels [n].
        predictions: The predictions, in the task's shape.

    Returns:
        A trial without fitting, with the scores that are defined for these rows.
    """
    now = time.time()
    results = compute_defined_metrics(task, labels, predictions), compute_curves(task, labels, predictions)
    return Trial(TrialJob(name), now, now, 0.0, *results)


def predict_soundly(task: Task, estimator: Any, inputs: np.ndarray) -> np.ndarray:
    """Predict in the task's shape, and look whether the predictions can be used.

    Args:
        task: The task.
        estimator: Fitted estimator.
        inputs: float64 [n, k].

    Returns:
        What `predict_for_task` returns.

    Raises:
        UnsoundPredictions: If the classes are in another order than the task's, the shape is another than expected, a
            prediction is NaN or infinite, or a probability is outside 0 to 1.
    """
    _require_task_classes(task, estimator, inputs[:2])
    predictions = predict_for_task(task, estimator, inputs)
    if fault := _find_prediction_fault(task, predictions, len(inputs)):
        raise UnsoundPredictions(fault)
    return predictions


def _require_task_classes(task: Task, estimator: Any, some: np.ndarray) -> None:
    """Require the classes of a classification, in their order, and a probability of each for some rows."""
    if task.kind == "regression":
        return
    expected = list(range(len(task.classes))) if task.classes else [False, True]
    known = list(getattr(estimator, "classes_", expected))
    if known != expected:
        raise UnsoundPredictions(f"its classes are {[each.item() for each in known]}: expected {expected}")
    answered = np.shape(estimator.predict_proba(some))
    if answered != (len(some), len(expected)):
        raise UnsoundPredictions(f"predict_proba gives {answered}: expected {(len(some), len(expected))}")


def _find_prediction_fault(task: Task, predictions: np.ndarray, rows: int) -> str:
    shape = (rows, len(task.classes)) if task.classes else (rows,)
    if predictions.shape != shape:
        return f"it predicts {predictions.shape} for {format_count(rows, 'row')}: expected {shape}"
    if wrong := int((~np.isfinite(predictions)).sum()):
        return f"{wrong} of {predictions.size} predictions are NaN or infinite"
    if task.kind != "regression" and not (predictions.min() >= 0 and predictions.max() <= 1 + PROBABILITY_SLACK):
        return f"its probabilities go from {predictions.min():g} to {predictions.max():g}: expected 0 to 1"
    return ""


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
        raise ValueError(
            f"the training rows have no {', '.join(unseen)}: every class of the target must occur in them; join a rare "
            "class with another in target(), or learn from more batches"
        )
    return probabilities


def describe_rare_classes(task: Task, labels: np.ndarray) -> list[str]:
    """Say of which classes the scored rows are so few that each of them moves the ROC AUC.

    Args:
        task: The task.
        labels: The labels of the scored rows [n], as the task has them.

    Returns:
        A sentence where a class of several has some rows, but fewer than `MIN_CLASS_ROWS`; else nothing.
    """
    if task.kind != "multiclass":
        return []
    counts = zip(task.classes, np.bincount(labels.astype(int), minlength=len(task.classes)).tolist(), strict=True)
    rare = [
        f"{escape_text(name)} has {format_count(rows, 'row')}" for name, rows in counts if 0 < rows < MIN_CLASS_ROWS
    ]
    said = "The ROC AUC is a mean in which each class counts the same, so that a row of a rare one weighs much"
    return [f"{said}: of those scored {', '.join(rare)}."] if rare else []


def get_metric_title(name: str) -> str:
    """Get the title of a metric, for a table or a sentence.

    Args:
        name: Its name.

    Returns:
        Such as "ROC AUC"; the words of a loss; or else the name.
    """
    if name in METRIC_TITLES:
        return METRIC_TITLES[name]
    return describe_loss_name(name) if name in LOSS_WORDS or read_quantile_level(name) is not None else name


def format_score_table(models: ModelScores) -> str:
    """Format scores as a table with a line for each model.

    Args:
        models: Each model's name and scores, which may have intervals. The first one has all metrics.

    Returns:
        The table, with a column for each metric in the order of the first model's.
    """
    names = list(models[0][1])
    cells = [["", *map(get_metric_title, names)]]
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
