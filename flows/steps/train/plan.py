"""What a training run starts from: the settings, the data version, the code, and whether that was trained before."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from flows.steps.shared import shared_data
from flows.steps.train.exclusions import batch_outcomes, excluded_days, exclusion_report
from penumbra.core.columns import BATCH_COLUMN, FLYWHEEL_COLUMN, LABEL_COLUMN
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import BatchRefused, SourceFailed
from penumbra.data.versioning import versions
from penumbra.data.versioning.admitted import BatchesChanged
from penumbra.patterns.candidate import Candidate
from penumbra.registry import code_version
from penumbra.registry.tracking.sqlite_registry import get_database_path, read_version_by_fingerprint
from penumbra.storage import fingerprints
from penumbra.storage.cache import RunReceipts
from penumbra.storage.sealed import DamagedFile
from penumbra.training.evaluation.evaluate import TrialJob
from penumbra.training.fit import add_labels
from penumbra.training.split import Split, split_batches

RECIPE_ROOMS = ("penumbra.features", "penumbra.rules", "penumbra.patterns", "penumbra.core.encoding")
MODEL_ROOMS = (
    *("penumbra.features", "penumbra.rules", "penumbra.patterns", "penumbra.core", "penumbra.data"),
    *("penumbra.training", "flows.train", "flows.steps.train"),
)

TAKEN_NAMES = ("live", "baseline")  # in tables of results, beside those of the candidates


class DataNotRecorded(RuntimeError):
    """The data folder's content has no version."""


PLAN_ERRORS = (
    *(SettingsError, ProblemError, SourceFailed, DataNotRecorded, BatchesChanged, BatchRefused, DamagedFile),
    *(code_version.NoCodeRevision, ValueError),
)


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that makes a model what it is. `facts` goes into the run and the bundle unchanged."""

    split: Split
    facts: dict[str, Any]

    def fingerprint_recipe(self, job: TrialJob) -> str:
        """Compute a digest that two models share if they have the same recipe, on whatever data.

        Args:
            job: The candidate and its parameters; its seed doesn't count.

        Returns:
            A sha256 in hex of the candidate's name, its parameters, and the code of problem, features and patterns.
        """
        return fingerprints.compute_fingerprint(PROJECT_ROOT, list_recipe_files(), job.candidate, dict(job.parameters))

    @property
    def fingerprint(self) -> str:
        """The sha256 in hex of code, tables, data version, excluded days, and the settings that shape the version."""
        return str(self.facts["fingerprint"])


def list_recipe_files() -> list[str]:
    """List the files that make a recipe: the problem, the building blocks it is composed of, and the encoding.

    Returns:
        Paths relative to the project: the lock of the libraries, and modules.
    """
    entries = ("problem", "penumbra.core.encoding")
    return fingerprints.list_result_files(PROJECT_ROOT, entries, RECIPE_ROOMS)


def list_training_files(root: Path = PROJECT_ROOT) -> list[str]:
    """List the files that shape a model: whatever the training flow imports of the rooms that do.

    Args:
        root: The folder of the project.

    Returns:
        Paths relative to `root`: the lock of the libraries, and modules.
    """
    return fingerprints.list_result_files(root, ("problem", "flows.train"), MODEL_ROOMS)


def make_plan(settings: Settings, problem: Problem) -> TrainingPlan:
    """Decide what is trained on which batches, and collect the facts that go with the model.

    Args:
        settings: All of them; they are recorded with the run.
        problem: The problem, with schema, source, features and candidates.

    Returns:
        The plan.

    Raises:
        DataNotRecorded: The data folder isn't at the version that its .dvc file names.
        NoCodeRevision: The project is neither a git checkout with a commit nor has a file REVISION.
        SettingsError: `training.candidates` names a candidate that problem/candidates.py doesn't have.
        ValueError: There are too few batches with outcomes to split.
    """
    require_known_candidates("training.candidates", settings.training.candidates, problem.candidates.CANDIDATES)
    shared_data.fill_data_folder(settings)
    data = versions.compute_data_version(settings.data)
    if not data or data != versions.read_recorded_version(settings.data):
        raise DataNotRecorded(
            f"{settings.data.folder}/ is not what {settings.data.folder}.dvc names: run `penumbra ingest` first"
        )
    store = DataStore(settings.data, problem)
    left_out = excluded_days.find_excluded_days(settings, problem)
    outcomes = batch_outcomes.count_batch_outcomes(store, left_out)
    share = batch_outcomes.compute_excluded_share(outcomes)
    excluded = exclusion_report.describe_excluded_days(left_out, share, settings.monitor.on_faults)
    remarks = [*batch_outcomes.describe_outcomes(outcomes), *([excluded] if excluded else [])]
    split = _split_usable_batches(settings, outcomes, remarks)
    files, judged = list_training_files(), [settings.promotion.loss, settings.promotion.loss_ceiling]
    shaping = settings.describe_sections("training", "uncertainty", "gate")
    facts = {
        "data_version": data,
        "revision": code_version.read_code_revision(PROJECT_ROOT),
        "settings": settings.describe_sections(),
        "environment": code_version.describe_environment(PROJECT_ROOT),
        "fingerprint": fingerprints.compute_fingerprint(PROJECT_ROOT, files, data, shaping, judged, list(left_out)),
        "files": fingerprints.hash_files(PROJECT_ROOT, files),
        "train": split.train,
        "validation": split.validation,
        "test": split.test,
        "release_only": split.release_only,
        "left_out": left_out,
        "remarks": remarks,
    }
    return TrainingPlan(split, facts)


def _split_usable_batches(
    settings: Settings, outcomes: Mapping[str, batch_outcomes.BatchOutcomes], remarks: Sequence[str]
) -> Split:
    usable = [batch for batch, found in outcomes.items() if found.rows]
    unjudged = [batch for batch in usable if outcomes[batch].is_weighted]
    try:
        return split_batches(usable, settings.training.validation_batches, settings.training.test_batches, unjudged)
    except ValueError as error:
        raise ValueError("; ".join([str(error), *remarks])) from None


def require_known_candidates(setting: str, names: Sequence[str], candidates: Mapping[str, Candidate]) -> None:
    """Refuse a setting that names a candidate which isn't there.

    Args:
        setting: The setting's name, such as "training.candidates".
        names: The candidates that it names.
        candidates: Those of problem/candidates.py.

    Raises:
        SettingsError: One is unknown, or has a name that is taken.
    """
    if taken := [name for name in names if name in TAKEN_NAMES]:
        raise SettingsError(
            f"{setting} names {', '.join(taken)}: results call the live model and the baseline so, and a candidate of "
            "problem/candidates.py needs another name"
        )
    if unknown := [name for name in names if name not in candidates]:
        raise SettingsError(f"{setting} names {', '.join(unknown)}: problem/candidates.py has {', '.join(candidates)}")


def read_skip_reason(doctor: str) -> str:
    """Read the parameter `doctor` of the training flow.

    Args:
        doctor: "on", or "skipped: <reason>".

    Returns:
        The reason; "" for "on".

    Raises:
        ValueError: It is neither.
    """
    word, _, reason = doctor.partition(": ")
    if doctor != "on" and (word != "skipped" or not reason.strip()):
        raise ValueError(f"doctor = {doctor!r}: expected 'on' or 'skipped: <reason>'")
    return reason.strip()


def find_trained_version(plan: TrainingPlan, settings: Settings) -> str | None:
    """Find the registered version that was made from exactly this plan.

    The registry is asked only if there is a receipt for the plan's fingerprint.

    Args:
        plan: The plan of a training.
        settings: Sections [training] (the receipts' folder) and [registry] are read.

    Returns:
        The version's number, None if there is none.
    """
    if not RunReceipts(settings.training.folder).has_receipt(plan.fingerprint):
        return None
    database = get_database_path(settings.registry.tracking)
    if database and database.exists():
        try:
            return read_version_by_fingerprint(database, settings.registry.model, plan.fingerprint)
        except sqlite3.Error as error:
            from penumbra.registry.tracking.database import refuse_locked

            refuse_locked(database, error)
    from penumbra.registry.models import ModelRegistry

    return ModelRegistry(settings.registry).find_version_by_fingerprint(plan.fingerprint)


def read_training_rows(settings: Settings, problem: Problem, batches: Sequence[str]) -> pl.DataFrame:
    """Read the rows of some batches that a model may learn from.

    Args:
        settings: Sections [data], [training] and [monitor] are read.
        problem: The problem, with schema, source and features.
        batches: Names of admitted batches.

    Returns:
        The rows of `read_sound_rows` that have an outcome.
    """
    return read_sound_rows(settings, problem, batches).filter(pl.col(LABEL_COLUMN).is_not_null())


def read_sound_rows(settings: Settings, problem: Problem, batches: Sequence[str]) -> pl.DataFrame:
    """Read the rows of some batches, without those of days with data faults.

    Args:
        settings: Sections [data], [training] and [monitor] are read.
        problem: The problem, with schema, source and features.
        batches: Names of admitted batches.

    Returns:
        Their rows, in the order of the batches, as the data store gives them, with the outcome in `penumbra.label`,
        null where there is none, how many rows they stand for in `penumbra.weight` (Float64), and in
        `penumbra.flywheel` (String) the first flywheel batch that had the row; null where none had it.
    """
    shared_data.fill_data_folder(settings)
    store = DataStore(settings.data, problem)
    rows = _name_first_flywheel(store, pl.concat([store.weighted_rows(batch) for batch in batches]))
    days = excluded_days.find_excluded_days(settings, problem)
    return add_labels(excluded_days.drop_excluded_days(rows, problem.schema, days), problem.schema.target())


def _name_first_flywheel(store: DataStore, rows: pl.DataFrame) -> pl.DataFrame:
    """Add the first flywheel batch of each row: by it, a model may have learnt what the source brings only now."""
    key = store.problem.schema.Row.primary_key()
    if not (made := store.flywheel_batches()):
        return rows.with_columns(pl.lit(None, pl.String).alias(FLYWHEEL_COLUMN))
    first = store.read_keys(made).rename({BATCH_COLUMN: FLYWHEEL_COLUMN}).unique(key, keep="first", maintain_order=True)
    return rows.join(first, on=key, how="left", maintain_order="left")
