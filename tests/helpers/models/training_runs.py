"""A training run on the orders in this process, up to its plan and matrices: no DVC, no Metaflow, no MLflow."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.steps.train import matrices, matrix_writing, plan
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings, load_settings
from penumbra.data.batches import DataStore
from penumbra.data.versioning import versions

FEW_ROWS = [("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 10"), ("MONTHS = 6", "MONTHS = 4")]
"""What to replace in the source of the orders, to have 10 rows a day in four months."""


@dataclass(frozen=True)
class PreparedRun:
    """What the first step of a training makes."""

    settings: Settings
    plan: plan.TrainingPlan
    matrices: matrices.Matrices


def admit_batches(folder: Path, problem: Problem, **changes: str) -> Settings:
    """Admit every batch of a problem's source to a data store.

    Args:
        folder: An empty folder for data and results.
        problem: The problem.
        changes: Settings by section and name, such as `training__candidates`.

    Returns:
        The settings, with all folders below `folder`.
    """
    settings = make_run_settings(folder, problem, **changes)
    store = DataStore(settings.data, problem)
    for batch in problem.source.batches():
        store.stage(batch.name, problem.source.fetch(batch.name))
    store.admit([batch.name for batch in problem.source.batches()])
    return settings


def make_run_settings(folder: Path, problem: Problem, **changes: str) -> Settings:
    """Make settings with all folders below one.

    Args:
        folder: The folder for data and results.
        problem: The problem, all of whose candidates are tried.
        changes: Settings by section and name, such as `training__candidates`.

    Returns:
        The settings.
    """
    names = {
        "data__folder": "data",
        "data__derived": "derived",
        "training__folder": "train",
        "training__failures": "failures",
        "service__predictions": "predictions",
        "service__state": "state",
        "labels__folder": "labels",
        "review__folder": "reviews",
        "ledger__folder": "ledger",
        "registry__artifacts": "artifacts",
    }
    places = {name: str(folder / place) for name, place in names.items()}
    places |= {"registry__tracking": f"sqlite:///{folder}/mlflow.db", "data__today": str(dt.date(2035, 1, 1))}
    candidates = ", ".join(problem.candidates.CANDIDATES)
    every = {**places, "training__candidates": candidates, **changes}
    return load_settings(environ={f"PENUMBRA_{name.upper()}": value for name, value in every.items()})


def prepare_run(folder: Path, problem: Problem, monkeypatch: pytest.MonkeyPatch, **changes: str) -> PreparedRun:
    """Plan a training and write its matrices.

    Args:
        folder: An empty folder for data and results.
        problem: The problem.
        monkeypatch: Lets the data folder's content be the recorded data version.
        changes: Settings by section and name.

    Returns:
        The run.
    """
    settings = admit_batches(folder, problem, **changes)
    monkeypatch.setattr(versions, "read_recorded_version", versions.compute_data_version)
    made = plan.make_plan(settings, problem)
    return PreparedRun(settings, made, matrix_writing.write_matrices(settings, problem, made.split.all, folder / "run"))
