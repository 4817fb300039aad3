"""What a training run starts from: the settings, the data version, the code, and whether that was trained before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

import problem.schema
import problem.source
from flows.steps.train import excluded_days
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError
from penumbra.data import versions
from penumbra.data.batches import DataStore
from penumbra.registry import code_version
from penumbra.storage.receipts import RunReceipts
from penumbra.training.prepare import select_labelled_rows
from penumbra.training.split import Split, split_batches
from penumbra.training.trial import TrialJob
from problem.candidates import CANDIDATES

RECIPE_CODE_FILES = [
    "problem/*.py",
    "penumbra/patterns/*.py",
    "penumbra/core/encoding.py",
    "penumbra/features.py",
    "locks/runtime.lock",
]
TRAINING_CODE_FILES = [
    *RECIPE_CODE_FILES,
    "penumbra/training/**/*.py",
    "flows/train.py",
    "flows/steps/train/plan.py",
    "flows/steps/train/matrices.py",
    "flows/steps/train/final_fit.py",
    "flows/steps/train/selection.py",
    "penumbra/core/task.py",
]


class DataNotRecorded(RuntimeError):
    """The data folder's content has no version."""


PLAN_ERRORS = (SettingsError, DataNotRecorded, code_version.NoGitRevision, ValueError)


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that makes a model what it is. `facts` goes into the run and the bundle as it is."""

    split: Split
    facts: dict[str, Any]

    def fingerprint_recipe(self, job: TrialJob) -> str:
        """What makes two models the same recipe, on whatever data: the candidate, its parameters, the code."""
        return code_version.compute_fingerprint(PROJECT_ROOT, RECIPE_CODE_FILES, job.candidate, dict(job.parameters))

    @property
    def fingerprint(self) -> str:
        return str(self.facts["fingerprint"])


def make_plan(settings: Settings) -> TrainingPlan:
    """Raises NotRecorded, NoRevision, SettingsError (no such candidate), or ValueError (too few batches)."""
    _require_known_candidates(settings.training.candidates)
    data = versions.compute_data_version(settings.data)
    if not data or data != versions.read_recorded_version(settings.data):
        raise DataNotRecorded(
            f"{settings.data.folder}/ is not what {settings.data.folder}.dvc names: run `make ingest` first"
        )
    store = DataStore(settings.data, problem)
    left_out = excluded_days.find_excluded_days(settings)
    parts = split_batches(store.batches(), settings.training.validation_batches, settings.training.test_batches)
    facts = {
        "data_version": data,
        "revision": code_version.read_git_revision(PROJECT_ROOT),
        "settings": settings.model_dump(mode="json"),
        "environment": code_version.describe_environment(PROJECT_ROOT),
        "fingerprint": code_version.compute_fingerprint(
            PROJECT_ROOT, TRAINING_CODE_FILES, data, settings.training.model_dump(mode="json"), list(left_out)
        ),
        "files": code_version.hash_files(PROJECT_ROOT, TRAINING_CODE_FILES),
        "train": parts.train,
        "validation": parts.validation,
        "test": parts.test,
        "left_out": left_out,
    }
    return TrainingPlan(parts, facts)


def _require_known_candidates(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in CANDIDATES]:
        raise SettingsError(
            f"training.candidates names {', '.join(unknown)}: problem/candidates.py has {', '.join(CANDIDATES)}"
        )


def find_trained_version(plan: TrainingPlan, settings: Settings) -> str | None:
    """The registered version that was made from exactly this; asks the registry only where a receipt says so."""
    if not RunReceipts(settings.training.folder).has_receipt(plan.fingerprint):
        return None
    from penumbra.registry.models import ModelRegistry

    return ModelRegistry(settings.registry).find_version_by_fingerprint(plan.fingerprint)


def read_training_rows(settings: Settings, batches: Sequence[str]) -> pl.DataFrame:
    """The rows of these batches that have an outcome, with the column "label", but those of days with data faults."""
    store = DataStore(settings.data, problem)
    sound = excluded_days.drop_excluded_days(
        pl.concat([store.rows(batch) for batch in batches]), excluded_days.find_excluded_days(settings)
    )
    return select_labelled_rows(sound, problem.schema.target())
