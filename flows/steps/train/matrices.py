"""The matrices of a training run, as each of its tasks maps them into memory; its trials on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.encoding import CategoryTables, FeatureEncoder
from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.problem import Problem
from penumbra.core.system.process_tree import read_cpu_seconds
from penumbra.core.task import Task
from penumbra.patterns.candidate import Candidate
from penumbra.storage.arrays import ArrayStore
from penumbra.training.constant_model import build_constant_model
from penumbra.training.evaluation.evaluate import EvaluationSet, Trial, TrialJob, predict_for_task, run_trial
from penumbra.training.fit import TrainingSet
from penumbra.training.search import search_parameters, thin_training_set

TRAINING_SET_ARTIFACT = "lesson"  # kept with a run: without it the run could not be reproduced
WITHHELD_ARRAY, LIVE_ARRAY = f"{TRAINING_SET_ARTIFACT}/withheld", f"{TRAINING_SET_ARTIFACT}/live"
WEIGHTS_ARRAY, DAYS_ARRAY = "weights", "days"
SEARCHES_PER_CANDIDATE = 2  # side by side, each from a seed of its own with its share of a candidate's trials


@dataclass(frozen=True)
class Matrices:
    """Where the matrices are, and what their columns mean.

    All arrays have the rows of the same batches in the same order: "inputs" is float64 [n, features], "labels" as the
    task has them (see penumbra/core/task.py), "learns-<candidate>" the labels of candidates that learn something else,
    "weights" float64 [n], which isn't there where all rows count once, "days" the number of each row's day, from 1 on,
    where `uncertainty.method` is "cross".
    `columns` has the names, and the positions of categorical and numeric features; `tables` the values of categories;
    `faults` by candidate why what it learns can't be computed. `most_rows` is how many rows a candidate learns from at
    most, spread evenly over its batches; None for all.
    """

    arrays: ArrayStore
    columns: dict[str, list[Any]]
    tables: CategoryTables
    task: Task
    problem: Problem
    faults: Mapping[str, str] = field(default_factory=dict)
    most_rows: int | None = None

    def make_estimator(self, job: TrialJob) -> Any:
        """Make a candidate's unfitted estimator.

        Args:
            job: The candidate with its parameters.

        Returns:
            A scikit-learn estimator.
        """
        estimator = get_candidate(self.problem, self.task, job.candidate).make(SimpleNamespace(**self.columns))
        return estimator.set_params(**job.parameters) if job.parameters else estimator

    def pad_classes(self, fitted: Any) -> Any:
        """Give a fitted classifier a probability for each class of the task.

        Args:
            fitted: Fitted estimator.

        Returns:
            The same, or one around it if the rows that it was fitted on lack a class.
        """
        from penumbra.patterns.class_padding import pad_missing_classes  # loads scikit-learn

        return pad_missing_classes(fitted, len(self.task.classes))

    def build_training_set(self, name: str, batches: Sequence[str], withhold: bool = False) -> TrainingSet:
        """Read the rows that a candidate learns from.

        Args:
            name: The candidate's name, or "baseline".
            batches: The batches that it may learn from; a candidate with a window takes the last ones only.
            withhold: Whether to leave out the rows that are withheld from trials.

        Returns:
            Inputs, labels, the live model's predictions where they were written, and weights where any isn't 1.
        """
        recipe, learnt = get_candidate(self.problem, self.task, name), self.list_learnt_batches(name, batches)
        labels = "labels" if recipe.learns is None else f"learns-{name}"
        live = self.arrays.part(learnt, LIVE_ARRAY) if self.arrays.has(LIVE_ARRAY) else None
        inputs, y = self.arrays.part(learnt, "inputs"), self.arrays.part(learnt, labels)
        training_set = TrainingSet(inputs, y, live, self.read_weights(learnt))
        if withhold and (rows := self.arrays.part(learnt, WITHHELD_ARRAY)).any():
            training_set = training_set.select_rows(~rows)
        count = len(training_set.y)
        return training_set if not self.most_rows else thin_training_set(training_set, min(1.0, self.most_rows / count))

    def list_learnt_batches(self, name: str, batches: Sequence[str]) -> Sequence[str]:
        """List the batches that a candidate learns from.

        Args:
            name: The candidate's name, or "baseline".
            batches: The batches that it may learn from.

        Returns:
            All of them, or the last ones of a candidate with a window.
        """
        window = get_candidate(self.problem, self.task, name).window
        return batches[-window:] if window else batches

    def read_weights(self, batches: Sequence[str]) -> np.ndarray | None:
        """Read how much each row counts in a fit.

        Args:
            batches: Names of batches.

        Returns:
            Float64 [n]; None where all rows of the run count once.
        """
        return self.arrays.part(batches, WEIGHTS_ARRAY) if self.arrays.has(WEIGHTS_ARRAY) else None

    def read_evaluation_set(self, batches: Sequence[str]) -> EvaluationSet:
        """Read the rows that a model is scored on.

        Args:
            batches: Names of batches.

        Returns:
            The inputs, float64 [n, features], and the labels as the task has them.
        """
        return self.arrays.part(batches, "inputs"), self.arrays.part(batches, "labels")

    def try_candidate(self, job: TrialJob, learn: Sequence[str], judge: Sequence[str], part: str) -> tuple[Trial, Any]:
        """Run one trial, in which the withheld rows teach nothing, and keep its predictions beside the matrices.

        Args:
            job: The candidate; with a seed and without parameters they are searched for first.
            learn: The batches that it learns from.
            judge: The batches that it is scored on.
            part: Its predictions of these are kept as the array "<part>-<job>".

        Returns:
            The trial, with its loss on the withheld rows in its report; and the fitted estimator.
        """
        before = read_cpu_seconds()
        training_set = self.build_training_set(job.candidate, learn, withhold=True)
        evaluation_set = self.read_evaluation_set(judge)
        if job.seed is not None and not job.parameters:
            job = replace(job, parameters=self._search(job, training_set, evaluation_set))
        estimator = self.make_estimator(job)
        done, predictions = run_trial(job, self.task, estimator, training_set, evaluation_set)
        self.arrays.write(f"{part}-{job}", predictions)
        report, cpu_seconds = {**done.report, **self._score_failures(estimator, learn)}, read_cpu_seconds() - before
        return replace(done, report=report, cpu_seconds=cpu_seconds), estimator

    def predict_frame(self, fitted: Any, features: pl.DataFrame) -> np.ndarray:
        """Predict rows that the matrices don't have.

        Args:
            fitted: Fitted estimator, with each class of the task.
            features: The features of n rows, at least one, as the data store has them.

        Returns:
            What `predict_for_task` returns.
        """
        encoder = FeatureEncoder(tuple(self.problem.features.FEATURES), self.tables)
        return predict_for_task(self.task, fitted, encoder.encode_frame(features))

    def _score_failures(self, fitted: Any, batches: Sequence[str]) -> dict[str, float]:
        """Score a model on the rows withheld from these batches, on which earlier live models failed."""
        rows = self.arrays.part(batches, WITHHELD_ARRAY)
        if not rows.any():
            return {}
        inputs, labels = (array[rows] for array in self.read_evaluation_set(batches))
        predictions = predict_for_task(self.task, self.pad_classes(fitted), inputs)
        loss = compute_row_losses(self.task, labels, predictions).mean()
        return {"failures": float(rows.sum()), "loss_on_failures": float(loss)}

    def _search(self, job: TrialJob, training_set: TrainingSet, evaluation_set: EvaluationSet) -> dict[str, Any]:
        recipe, seed = get_candidate(self.problem, self.task, job.candidate), job.seed or 0
        assert recipe.search
        make = partial(self.make_estimator, job)
        count = max(1, recipe.trials // SEARCHES_PER_CANDIDATE)
        return search_parameters(make, recipe.search, self.task, training_set, evaluation_set, count, seed)


def get_candidate(problem: Problem, task: Task, name: str) -> Candidate:
    """Look up an experiment, or the baseline as one.

    Args:
        problem: The problem, with its candidates.
        task: The task, with the loss that a baseline of the engine's own does best by.
        name: A name in `CANDIDATES`, or "baseline".

    Returns:
        The candidate.
    """
    if name != "baseline":
        return problem.candidates.CANDIDATES[name]
    return Candidate(problem.candidates.baseline or (lambda columns: build_constant_model(task)))


def list_trial_jobs(problem: Problem, names: Sequence[str]) -> list[TrialJob]:
    """List the trials of a run.

    Args:
        problem: The problem, with its candidates.
        names: Candidates, as the settings name them.

    Returns:
        A job for each candidate, or one for each search where the candidate's parameters are searched for.
    """
    return [
        TrialJob(name, seed)
        for name in names
        for seed in (range(SEARCHES_PER_CANDIDATE) if problem.candidates.CANDIDATES[name].search else [None])
    ]
