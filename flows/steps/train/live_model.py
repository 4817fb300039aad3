"""What a model is held against: the live model, on rows that it hasn't learnt from."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import problem.schema
from penumbra.core.settings import Settings
from penumbra.core.task import Task
from penumbra.logs.index import LogIndex
from penumbra.logs.queries.labels import find_first_outputs
from penumbra.registry import bundle
from problem.features import FEATURES

LIVE_MODEL_ALIAS = "live"


@dataclass(frozen=True)
class LivePredictions:
    """The live model's version and facts, and its predictions of rows: NaN for those that it has only learnt from."""

    version: str
    facts: Mapping[str, Any]
    said: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Of which rows there are predictions, bool [n]."""
        return ~np.isnan(self.said.reshape(len(self.said), -1)).any(axis=1)


def predict_with_live(settings: Settings, rows: pl.DataFrame) -> LivePredictions | None:
    """The live model on rows of the data store. None where there is none, or none that this code can read (it was made
    for other features), which is said."""
    from penumbra.registry.models import ModelRegistry

    models = ModelRegistry(settings.registry)
    version = models.version(LIVE_MODEL_ALIAS)
    if version is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        models.download(version, Path(folder) / version)
        try:
            live = bundle.read_bundle(Path(folder) / version, FEATURES, version, Task.from_schema(problem.schema))
        except bundle.BrokenBundle as reason:
            print(f"no comparison with live version {version}: {reason}")
            return None
        return LivePredictions(version, live.facts, predict_held_out(live, rows))


def collect_live_predictions(settings: Settings, rows: pl.DataFrame) -> np.ndarray | None:
    """What to tell candidates that learn from the live model's errors: its predictions out of sample or, of rows that
    it has learnt from, what was answered in service before; NaN where nothing is known, None where nothing at all."""
    live = predict_with_live(settings, rows)
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    said = find_first_outputs(index, rows).to_numpy()
    if live is None:
        return None if np.isnan(said).all() else said
    return np.where(live.known.reshape(-1, *[1] * (said.ndim - 1)), live.said, said)


def predict_held_out(live: bundle.Bundle, rows: pl.DataFrame) -> np.ndarray:
    """What a model says of rows of other batches than it learnt from, and what its recipe said of the others before it
    learnt from them too; NaN where that isn't known."""
    learnt = pl.col("batch").is_in(live.facts["train"] + live.facts["validation"] + live.facts["test"])
    rows = rows.with_row_index("position").with_columns(learnt=learnt)
    new = rows.filter(~pl.col("learnt"))
    kept = pl.read_parquet(live.path / "reference.parquet", columns=[*problem.schema.Row.primary_key(), "prediction"])
    before = rows.filter("learnt").join(kept, on=problem.schema.Row.primary_key(), how="inner")
    said = np.full((rows.height, *_output_shape(live.task)), np.nan)
    said[new["position"].to_numpy()] = live.score(new)
    said[before["position"].to_numpy()] = before["prediction"].to_numpy()
    return said


def _output_shape(task: Task) -> tuple[int, ...]:
    return (len(task.classes),) if task.kind == "multiclass" else ()
