"""What a training run starts from: the settings, the data version, the code, and whether that was trained before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import problem.features
import problem.schema
import problem.source
from settings import ROOT, Settings, SettingsError
from stores import bundle, code, versions
from stores.arrays import Arrays
from stores.data import DataStore
from stores.receipts import Receipts
from training.prepare import matrices, with_outcome
from training.split import Split, split

CODE = [
    "problem/*.py",
    "training/*.py",
    "flows/train.py",
    "flows/plan.py",
    "inputs.py",
    "kinds.py",
    "requirements.lock",
]


class NotRecorded(RuntimeError):
    """The data folder's content has no version."""


EXPECTED = (SettingsError, NotRecorded, code.NoRevision, ValueError)


@dataclass(frozen=True)
class Plan:
    """Everything that makes a model what it is. `facts` goes into the run and the bundle as it is."""

    split: Split
    facts: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        return str(self.facts["fingerprint"])


def make(chosen: Settings) -> Plan:
    """Raises NotRecorded, NoRevision, or ValueError (too few batches)."""
    data = versions.current(chosen.data)
    if not data or data != versions.recorded(chosen.data):
        raise NotRecorded(f"{chosen.data.folder}/ is not what {chosen.data.folder}.dvc names: run `make ingest` first")
    store = DataStore(chosen.data, problem)
    parts = split(store.batches(), chosen.training.validation_batches, chosen.training.test_batches)
    facts = {
        "data_version": data,
        "revision": code.revision(ROOT),
        "settings": chosen.model_dump(mode="json"),
        "environment": code.environment(ROOT),
        "fingerprint": code.fingerprint(ROOT, CODE, data, chosen.training.model_dump(mode="json")),
        "train": parts.train,
        "validation": parts.validation,
        "test": parts.test,
    }
    return Plan(parts, facts)


def trained_as(plan: Plan, chosen: Settings) -> str | None:
    """The registered version that was made from exactly this; asks the registry only where a receipt says so."""
    if not Receipts(chosen.training.folder).known(plan.fingerprint):
        return None
    from stores.models import Models

    return Models(chosen.registry).made_from(plan.fingerprint)


def rows(chosen: Settings, batches: Sequence[str]) -> pl.DataFrame:
    """The rows of these batches that have an outcome, with the column "label"."""
    store = DataStore(chosen.data, problem)
    return with_outcome(pl.concat([store.rows(batch) for batch in batches]), problem.schema.target())


def write_matrices(chosen: Settings, batches: Sequence[str], folder: Path) -> tuple[Arrays, dict[str, list[int]], Any]:
    """Put the batches' matrices on disk; return where, the columns' positions by kind, and the category tables."""
    labelled = rows(chosen, batches)
    inputs, labels, encoding = matrices(labelled, problem.features.FEATURES)
    sizes = dict(labelled.group_by("batch", maintain_order=True).len().iter_rows())
    stored = Arrays(folder, sizes)
    stored.write("inputs", inputs)
    stored.write("labels", labels)
    return stored, {"categorical": encoding.categorical, "numeric": encoding.numeric}, encoding.tables


def write_reference(chosen: Settings, batches: Sequence[str], stored: Arrays, winner: str) -> None:
    """The held-out rows with what the winner, which hadn't learnt from them, said: part of the bundle."""
    said = pl.concat([pl.Series(stored.read(f"{part}-{winner}")) for part in ("validation", "test")])
    reference = rows(chosen, batches).drop("inputs").with_columns(probability=said)
    bundle.write_reference(stored.folder / "bundle", reference)
