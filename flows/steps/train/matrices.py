"""The matrices of a training run: written once by its first step, mapped by each of its tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

import problem.features
import problem.schema
from flows.steps.train import live_model, plan
from penumbra.core.encoding import CategoryTables
from penumbra.core.metrics import row_losses
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.data.failure_set import FailureSet
from penumbra.patterns.candidate import Candidate
from penumbra.storage.arrays import ArrayStore
from penumbra.training import trial
from penumbra.training.failures import mask_matching_rows
from penumbra.training.prepare import build_matrix, extract_labels
from penumbra.training.search import search_parameters
from penumbra.training.training_set import TrainingSet, accepts_live_predictions
from penumbra.training.trial import EvaluationSet, Trial, TrialJob
from problem.candidates import CANDIDATES, baseline

CANDIDATE_RECIPES = {**CANDIDATES, "baseline": Candidate(baseline)}
TRAINING_SET_ARTIFACT = "lesson"  # kept with a run: without it the run could not be reproduced
WITHHELD_ARRAY, LIVE_ARRAY = f"{TRAINING_SET_ARTIFACT}/withheld", f"{TRAINING_SET_ARTIFACT}/live"
MAX_WITHHELD_ROWS = 2000
SEARCHES_PER_CANDIDATE = 2  # side by side, each from a seed of its own with its share of a candidate's trials


@dataclass(frozen=True)
class Matrices:
    """Where they are, and what their columns mean. All arrays have the rows of the same batches in the same order."""

    arrays: ArrayStore
    columns: dict[str, list[Any]]
    tables: CategoryTables
    task: Task

    def estimator(self, job: TrialJob) -> Any:
        """A candidate's unfitted estimator."""
        return CANDIDATE_RECIPES[job.candidate].make(SimpleNamespace(**self.columns)).set_params(**job.parameters)

    def build_training_set(self, name: str, batches: Sequence[str], withhold: bool = False) -> TrainingSet:
        """What a candidate learns from these batches, with or without the rows that are withheld from trials."""
        recipe = CANDIDATE_RECIPES[name]
        taught = batches[-recipe.window :] if recipe.window else batches
        y = "labels" if recipe.learns is None else f"learns-{name}"
        live = self.arrays.part(taught, LIVE_ARRAY) if self.arrays.has(LIVE_ARRAY) else None
        lesson = TrainingSet(self.arrays.part(taught, "inputs"), self.arrays.part(taught, y), live)
        return lesson.select_rows(~self.arrays.part(taught, WITHHELD_ARRAY)) if withhold else lesson

    def judged(self, batches: Sequence[str]) -> EvaluationSet:
        return self.arrays.part(batches, "inputs"), self.arrays.part(batches, "labels")

    def try_candidate(self, job: TrialJob, learn: Sequence[str], judge: Sequence[str], part: str) -> tuple[Trial, Any]:
        """Run one trial, in which the rows withheld teach nothing, and keep its predictions beside the matrices.

        Returns the fitted estimator as well.
        """
        lesson, judged = self.build_training_set(job.candidate, learn, withhold=True), self.judged(judge)
        if job.seed is not None and not job.parameters:
            job = replace(job, parameters=self._search(job, lesson, judged))
        estimator = self.estimator(job)
        done, said = trial.run_trial(job, self.task, estimator, lesson, judged)
        self.arrays.write(f"{part}-{job}", said)
        return replace(done, report={**done.report, **self._score_failures(estimator, learn)}), estimator

    def _score_failures(self, fitted: Any, batches: Sequence[str]) -> dict[str, float]:
        """The loss on the rows withheld from these batches, as earlier live models failed on them."""
        rows = self.arrays.part(batches, WITHHELD_ARRAY)
        if not rows.any():
            return {}
        inputs, labels = (part[rows] for part in self.judged(batches))
        loss = row_losses(self.task, labels, trial.predict_for_task(self.task, fitted, inputs)).mean()
        return {"failures": float(rows.sum()), "loss_on_failures": float(loss)}

    def _search(self, job: TrialJob, lesson: TrainingSet, judged: EvaluationSet) -> dict[str, Any]:
        recipe, seed = CANDIDATE_RECIPES[job.candidate], job.seed or 0
        assert recipe.search
        make = lambda: self.estimator(job)  # noqa: E731
        return search_parameters(
            make, recipe.search, self.task, lesson, judged, recipe.trials // SEARCHES_PER_CANDIDATE, seed
        )


def list_trial_jobs(names: Sequence[str]) -> list[TrialJob]:
    """What is to be tried: each candidate once, or once for each search for its parameters."""
    return [
        TrialJob(name, seed)
        for name in names
        for seed in (range(SEARCHES_PER_CANDIDATE) if CANDIDATE_RECIPES[name].search else [None])
    ]


def write_matrices(settings: Settings, batches: Sequence[str], folder: Path, given: Path | None = None) -> Matrices:
    """Put the batches' matrices on disk.

    Which rows are withheld from trials, and what the live model said of them, is as it was when the folder `given` was
    kept with a run, or as it is now.
    """
    rows, task = plan.read_training_rows(settings, batches), Task.from_schema(problem.schema)
    inputs, encoding = build_matrix(rows, problem.features.FEATURES)
    stored = ArrayStore(folder, dict(rows.group_by("batch", maintain_order=True).len().iter_rows()))
    stored.write("inputs", inputs)
    stored.write("labels", extract_labels(rows, task))
    for name, recipe in CANDIDATES.items():
        if recipe.learns is not None:
            stored.write(f"learns-{name}", rows.select(recipe.learns.cast(pl.Float64)).to_series().to_numpy())
    columns = {"names": encoding.names, "categorical": encoding.categorical, "numeric": encoding.numeric}
    made = Matrices(stored, columns, encoding.tables, task)
    for name, array in (_load_kept_arrays(given) if given else _collect_trial_context(settings, rows, made)).items():
        stored.write(name, array)
    return made


def _collect_trial_context(settings: Settings, rows: pl.DataFrame, made: Matrices) -> dict[str, np.ndarray]:
    """What trials depend on beside data, code and settings: earlier failures, and the live model."""
    kept = FailureSet(settings.training.failures, problem.schema.Row).read(MAX_WITHHELD_ROWS)
    found = {WITHHELD_ARRAY: mask_matching_rows(rows, kept, problem.schema.Row.primary_key())}
    if any(accepts_live_predictions(made.estimator(TrialJob(name))) for name in settings.training.candidates):
        live = live_model.collect_live_predictions(settings, rows)
        found |= {} if live is None else {LIVE_ARRAY: live}
    return found


def _load_kept_arrays(folder: Path) -> dict[str, np.ndarray]:
    return {f"{TRAINING_SET_ARTIFACT}/{path.stem}": np.load(path) for path in folder.glob("*.npy")}
