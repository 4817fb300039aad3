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
from flows.experiments import against, plan
from inputs import Tables
from patterns.candidate import Candidate
from problem.candidates import CANDIDATES, baseline
from settings import Settings
from stores.arrays import Arrays
from stores.failures import Failures
from task import Task
from training import trial
from training.evaluate import losses
from training.failures import among
from training.lesson import Lesson, wants_live
from training.prepare import labels_of, matrices
from training.search import search
from training.trial import Job, Judged, Trial

RECIPES = {**CANDIDATES, "baseline": Candidate(baseline)}
LESSON = "lesson"  # kept with a run: without it the run could not be reproduced
WITHHELD, LIVE = f"{LESSON}/withheld", f"{LESSON}/live"
MOST_WITHHELD = 2000
SEARCHES = 2  # side by side, each from a seed of its own with its share of a candidate's trials


@dataclass(frozen=True)
class Matrices:
    """Where they are, and what their columns mean. All arrays have the rows of the same batches in the same order."""

    arrays: Arrays
    columns: dict[str, list[Any]]
    tables: Tables
    task: Task

    def estimator(self, job: Job) -> Any:
        """A candidate's unfitted estimator."""
        return RECIPES[job.candidate].make(SimpleNamespace(**self.columns)).set_params(**job.parameters)

    def lesson(self, name: str, batches: Sequence[str], withhold: bool = False) -> Lesson:
        """What a candidate learns from these batches, with or without the rows that are withheld from trials."""
        recipe = RECIPES[name]
        taught = batches[-recipe.window :] if recipe.window else batches
        y = "labels" if recipe.learns is None else f"learns-{name}"
        live = self.arrays.part(taught, LIVE) if self.arrays.has(LIVE) else None
        lesson = Lesson(self.arrays.part(taught, "inputs"), self.arrays.part(taught, y), live)
        return lesson.at(~self.arrays.part(taught, WITHHELD)) if withhold else lesson

    def judged(self, batches: Sequence[str]) -> Judged:
        return self.arrays.part(batches, "inputs"), self.arrays.part(batches, "labels")

    def try_out(self, job: Job, learn: Sequence[str], judge: Sequence[str], part: str) -> tuple[Trial, Any]:
        """Run one trial, in which the rows withheld teach nothing, and keep its predictions beside the matrices.

        Returns the fitted estimator as well.
        """
        lesson, judged = self.lesson(job.candidate, learn, withhold=True), self.judged(judge)
        if job.seed is not None and not job.parameters:
            job = replace(job, parameters=self._search(job, lesson, judged))
        estimator = self.estimator(job)
        done, said = trial.run(job, self.task, estimator, lesson, judged)
        self.arrays.write(f"{part}-{job}", said)
        return replace(done, report={**done.report, **self._on_failures(estimator, learn)}), estimator

    def _on_failures(self, fitted: Any, batches: Sequence[str]) -> dict[str, float]:
        """The loss on the rows withheld from these batches, as earlier live models failed on them."""
        rows = self.arrays.part(batches, WITHHELD)
        if not rows.any():
            return {}
        inputs, labels = (part[rows] for part in self.judged(batches))
        loss = losses(self.task, labels, trial.predictions(self.task, fitted, inputs)).mean()
        return {"failures": float(rows.sum()), "loss_on_failures": float(loss)}

    def _search(self, job: Job, lesson: Lesson, judged: Judged) -> dict[str, Any]:
        recipe, seed = RECIPES[job.candidate], job.seed or 0
        assert recipe.search
        make = lambda: self.estimator(job)  # noqa: E731
        return search(make, recipe.search, self.task, lesson, judged, recipe.trials // SEARCHES, seed)


def jobs(names: Sequence[str]) -> list[Job]:
    """What is to be tried: each candidate once, or once for each search for its parameters."""
    return [Job(name, seed) for name in names for seed in (range(SEARCHES) if RECIPES[name].search else [None])]


def write(chosen: Settings, batches: Sequence[str], folder: Path, given: Path | None = None) -> Matrices:
    """Put the batches' matrices on disk.

    Which rows are withheld from trials, and what the live model said of them, is as it was when the folder `given` was
    kept with a run, or as it is now.
    """
    rows, task = plan.rows(chosen, batches), Task.of(problem.schema)
    inputs, encoding = matrices(rows, problem.features.FEATURES)
    stored = Arrays(folder, dict(rows.group_by("batch", maintain_order=True).len().iter_rows()))
    stored.write("inputs", inputs)
    stored.write("labels", labels_of(rows, task))
    for name, recipe in CANDIDATES.items():
        if recipe.learns is not None:
            stored.write(f"learns-{name}", rows.select(recipe.learns.cast(pl.Float64)).to_series().to_numpy())
    columns = {"names": encoding.names, "categorical": encoding.categorical, "numeric": encoding.numeric}
    made = Matrices(stored, columns, encoding.tables, task)
    for name, array in (_kept(given) if given else _circumstances(chosen, rows, made)).items():
        stored.write(name, array)
    return made


def _circumstances(chosen: Settings, rows: pl.DataFrame, made: Matrices) -> dict[str, np.ndarray]:
    """What trials depend on beside data, code and settings: earlier failures, and the live model."""
    kept = Failures(chosen.training.failures, problem.schema.Row).read(MOST_WITHHELD)
    found = {WITHHELD: among(rows, kept, problem.schema.Row.primary_key())}
    if any(wants_live(made.estimator(Job(name))) for name in chosen.training.candidates):
        live = against.told(chosen, rows)
        found |= {} if live is None else {LIVE: live}
    return found


def _kept(folder: Path) -> dict[str, np.ndarray]:
    return {f"{LESSON}/{path.stem}": np.load(path) for path in folder.glob("*.npy")}
