"""What a training run starts from: the settings, the data version, the code, and whether that was trained before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

import problem.schema
import problem.source
from flows.experiments import faulty
from problem.candidates import CANDIDATES
from settings import ROOT, Settings, SettingsError
from stores import code, versions
from stores.data import DataStore
from stores.receipts import Receipts
from training.prepare import with_outcome
from training.split import Split, split
from training.trial import Job

RECIPE = ["problem/*.py", "patterns/*.py", "inputs.py", "kinds.py", "locks/runtime.lock"]
CODE = [
    *RECIPE,
    "training/*.py",
    "flows/train.py",
    "flows/experiments/plan.py",
    "flows/experiments/matrices.py",
    "flows/experiments/finals.py",
    "flows/experiments/choosing.py",
    "task.py",
]


class NotRecorded(RuntimeError):
    """The data folder's content has no version."""


EXPECTED = (SettingsError, NotRecorded, code.NoRevision, ValueError)


@dataclass(frozen=True)
class Plan:
    """Everything that makes a model what it is. `facts` goes into the run and the bundle as it is."""

    split: Split
    facts: dict[str, Any]

    def recipe(self, job: Job) -> str:
        """What makes two models the same recipe, on whatever data: the candidate, its parameters, the code."""
        return code.fingerprint(ROOT, RECIPE, job.candidate, dict(job.parameters))

    @property
    def fingerprint(self) -> str:
        return str(self.facts["fingerprint"])


def make(chosen: Settings) -> Plan:
    """Raises NotRecorded, NoRevision, SettingsError (no such candidate), or ValueError (too few batches)."""
    _require_known(chosen.training.candidates)
    data = versions.current(chosen.data)
    if not data or data != versions.recorded(chosen.data):
        raise NotRecorded(f"{chosen.data.folder}/ is not what {chosen.data.folder}.dvc names: run `make ingest` first")
    store = DataStore(chosen.data, problem)
    left_out = faulty.left_out(chosen)
    parts = split(store.batches(), chosen.training.validation_batches, chosen.training.test_batches)
    facts = {
        "data_version": data,
        "revision": code.revision(ROOT),
        "settings": chosen.model_dump(mode="json"),
        "environment": code.environment(ROOT),
        "fingerprint": code.fingerprint(ROOT, CODE, data, chosen.training.model_dump(mode="json"), list(left_out)),
        "files": code.digests(ROOT, CODE),
        "train": parts.train,
        "validation": parts.validation,
        "test": parts.test,
        "left_out": left_out,
    }
    return Plan(parts, facts)


def _require_known(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in CANDIDATES]:
        raise SettingsError(
            f"training.candidates names {', '.join(unknown)}: problem/candidates.py has {', '.join(CANDIDATES)}"
        )


def trained_as(plan: Plan, chosen: Settings) -> str | None:
    """The registered version that was made from exactly this; asks the registry only where a receipt says so."""
    if not Receipts(chosen.training.folder).known(plan.fingerprint):
        return None
    from stores.models import Models

    return Models(chosen.registry).made_from(plan.fingerprint)


def rows(chosen: Settings, batches: Sequence[str]) -> pl.DataFrame:
    """The rows of these batches that have an outcome, with the column "label", but those of days with data faults."""
    store = DataStore(chosen.data, problem)
    sound = faulty.without(pl.concat([store.rows(batch) for batch in batches]), faulty.left_out(chosen))
    return with_outcome(sound, problem.schema.target())
