"""The matrices of a training run: written by its first step, memory-mapped by each of its tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from flows.steps.train import plan
from penumbra.core.columns import BATCH_COLUMN, LABEL_COLUMN, WEIGHT_COLUMN
from penumbra.core.encoding import CategoryTables
from penumbra.core.metrics.losses import build_judged_task, compute_row_losses
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.system.process_tree import read_cpu_seconds
from penumbra.core.task import Task
from penumbra.core.text.errors import USER_ERRORS
from penumbra.data.failure_set import FailureSet
from penumbra.patterns.candidate import Candidate
from penumbra.storage.arrays import ArrayStore
from penumbra.training.constant_model import build_constant_model
from penumbra.training.evaluation.evaluate import EvaluationSet, Trial, TrialJob, predict_for_task, run_trial
from penumbra.training.fit import (
    TrainingSet,
    accepts_live_predictions,
    build_matrix,
    compute_fit_weights,
    extract_labels,
)
from penumbra.training.rejection import describe_failure
from penumbra.training.search import search_parameters, thin_training_set
from penumbra.training.split import mask_matching_rows

TRAINING_SET_ARTIFACT = "lesson"  # kept with a run: without it the run could not be reproduced
WITHHELD_ARRAY, LIVE_ARRAY = f"{TRAINING_SET_ARTIFACT}/withheld", f"{TRAINING_SET_ARTIFACT}/live"
WEIGHTS_ARRAY, DAYS_ARRAY = "weights", "days"
MAX_WITHHELD_ROWS = 2000
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


def write_matrices(
    settings: Settings,
    problem: Problem,
    batches: Sequence[str],
    folder: Path,
    recorded_context: Path | None = None,
    with_live: bool = True,
) -> Matrices:
    """Write the matrices of some batches, with what trials depend on beside data, code and settings.

    Args:
        settings: Those that the rows, the set of failures and the live model's predictions are read by,
            `promotion.loss` and `uncertainty.method`.
        problem: The problem, with every part.
        batches: Names of admitted batches; their rows are written in this order.
        folder: Where the arrays are written.
        recorded_context: The folder "lesson" that was kept with a run, to take the withheld rows and the live model's
            predictions from; None to take them as they are now.
        with_live: Whether to write the live model's predictions now, for which the candidates are made, and
            scikit-learn imported; else that is left to `write_live_predictions`.

    Returns:
        The matrices.
    """
    rows = plan.read_training_rows(settings, problem, batches)
    return write_row_matrices(settings, problem, rows, folder, recorded_context, with_live)


def write_row_matrices(
    settings: Settings,
    problem: Problem,
    rows: pl.DataFrame,
    folder: Path,
    recorded_context: Path | None = None,
    with_live: bool = True,
) -> Matrices:
    """Write the matrices of rows that were read, as `write_matrices` does.

    Args:
        settings: As in `write_matrices`.
        problem: As in `write_matrices`.
        rows: What `plan.read_training_rows` returns.
        folder: As in `write_matrices`.
        recorded_context: As in `write_matrices`.
        with_live: As in `write_matrices`.

    Returns:
        The matrices.
    """
    task = build_judged_task(problem.schema, settings.promotion.loss)
    inputs, encoding = build_matrix(rows, problem.features.FEATURES)
    arrays = ArrayStore(folder, dict(rows.group_by(BATCH_COLUMN, maintain_order=True).len().iter_rows()))
    arrays.write("inputs", inputs)
    arrays.write("labels", extract_labels(rows[LABEL_COLUMN], task))
    weights = compute_fit_weights(rows[BATCH_COLUMN], rows[WEIGHT_COLUMN])
    if (weights != 1).any():
        arrays.write(WEIGHTS_ARRAY, weights)
    if settings.uncertainty.method == "cross":
        arrays.write(DAYS_ARRAY, rows.select(problem.slices.DAY.rank("dense")).to_series().to_numpy())
    faults = _write_learnt_labels(problem, rows, arrays)
    columns: dict[str, list[Any]] = {
        "names": encoding.names,
        "categorical": encoding.categorical,
        "numeric": encoding.numeric,
    }
    matrices = Matrices(arrays, columns, encoding.tables, task, problem, faults)
    if recorded_context:
        for path in recorded_context.glob("*.npy"):
            arrays.write(f"{TRAINING_SET_ARTIFACT}/{path.stem}", np.load(path))
        return matrices
    failures = FailureSet(settings.training.failures, problem.schema.Row).read(MAX_WITHHELD_ROWS)
    arrays.write(WITHHELD_ARRAY, mask_matching_rows(rows, failures, problem.schema.Row.primary_key()))
    if with_live:
        write_live_predictions(settings, matrices, rows)
    return matrices


def write_live_predictions(settings: Settings, matrices: Matrices, rows: pl.DataFrame | None = None) -> None:
    """Write the live model's predictions beside the matrices, where there is one and a candidate takes them.

    Args:
        settings: Those that the matrices were written with.
        matrices: The matrices.
        rows: The rows that they were made of; None to read them again.
    """
    if not any(_takes_live_predictions(matrices, name) for name in settings.training.candidates):
        return
    from flows.steps.train import live_model  # loads the log and ONNX's runtime

    problem, batches = matrices.problem, list(matrices.arrays.sizes)
    given = plan.read_training_rows(settings, problem, batches) if rows is None else rows
    live = live_model.collect_live_predictions(settings, problem, given)
    if live is not None:
        matrices.arrays.write(LIVE_ARRAY, live)


def _write_learnt_labels(problem: Problem, rows: pl.DataFrame, arrays: ArrayStore) -> dict[str, str]:
    """Write what candidates learn in place of the target; by candidate why it can't be computed."""
    faults = {}
    for name, recipe in problem.candidates.CANDIDATES.items():
        if recipe.learns is None:
            continue
        try:
            arrays.write(f"learns-{name}", rows.select(recipe.learns.cast(pl.Float64)).to_series().to_numpy())
        except pl.exceptions.PolarsError as error:
            faults[name] = f"`learns` gives no numbers: {describe_failure(error)}"
    return faults


def _takes_live_predictions(matrices: Matrices, name: str) -> bool:
    try:
        return accepts_live_predictions(matrices.make_estimator(TrialJob(name)))
    except USER_ERRORS:  # a candidate that can't be made is left out, see `screening`
        return False
