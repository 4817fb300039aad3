"""A model version as the weighing needs it: from the service's copy of its bundle, or from the registry."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

import problem.schema
import problem.source
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.registry import bundle, serving_cost
from penumbra.registry.lineage import BUNDLES_FOLDER
from penumbra.registry.manifest import BrokenBundle, verify_bundle
from penumbra.registry.models import ModelRegistry

TIMED_PROBE_ROWS, ROUNDS_PER_ROW = 10, 5


@dataclass(frozen=True)
class ModelVersion:
    """A model version's bundle, of which nothing is loaded before it is asked for."""

    folder: Path
    facts: dict[str, Any] = field(repr=False)

    @property
    def data_version(self) -> str:
        return str(self.facts.get("data_version", ""))

    @property
    def learnt(self) -> dt.date | None:
        """The first day on which all batches were complete that it learnt from; None where it doesn't say."""
        names = {name for part in ("train", "validation", "test") for name in self.facts.get(part, [])}
        return max((batch.complete for batch in problem.source.batches() if batch.name in names), default=None)

    @property
    def reference(self) -> pl.DataFrame:
        """Its recipe's predictions of rows that it hadn't learnt from, with their labels."""
        return pl.read_parquet(self.folder / "reference.parquet")

    def measure_latency_ms(self) -> np.ndarray:
        """What an answer takes on this machine, for some of the bundle's own rows: float64 [n]."""
        session, fitted = bundle.load_bundle_model(self.folder, self.facts["sha256"])
        ask = session or (
            fitted.predict if Task.from_schema(problem.schema).kind == "regression" else fitted.predict_proba
        )
        rows = np.load(self.folder / "probe.npz", allow_pickle=False)["inputs"][:TIMED_PROBE_ROWS]
        return np.array([serving_cost.measure_single_row_us(ask, row[None], ROUNDS_PER_ROW) / 1e3 for row in rows])


@contextmanager
def open_model_version(settings: Settings, models: ModelRegistry, name: str) -> Iterator[ModelVersion]:
    """The service's copy of a version, where it has a whole one, or else the registry's. Raises BrokenBundle, and what
    the registry raises."""
    folder = settings.service.state / BUNDLES_FOLDER / name
    with TemporaryDirectory() as aside:
        try:
            facts = verify_bundle(folder)
        except BrokenBundle:
            folder = Path(aside) / name
            models.download(name, folder)
            facts = verify_bundle(folder)
        yield ModelVersion(folder, facts)
