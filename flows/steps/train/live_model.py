"""The live model's predictions of rows that it hasn't learnt from: what a new model is compared with."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.columns import (
    BATCH_COLUMN,
    FLYWHEEL_COLUMN,
    LABEL_COLUMN,
    PREDICTION_COLUMN,
    ROW_NUMBER_COLUMN,
)
from penumbra.core.problem import Problem
from penumbra.core.settings import RegistrySettings, Settings
from penumbra.core.task import Task
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labels import find_first_outputs
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.manifest import UnfitBundle, read_manifest
from penumbra.registry.pointers import LIVE_ALIAS
from penumbra.training.split import SPLIT_PARTS


@dataclass(frozen=True)
class LivePredictions:
    """The live model's version, the facts of its bundle, and its predictions of some rows.

    `predictions` is float64 [n] or [n, classes], with NaN for rows that it has learnt from and that its recipe was
    never scored on before. `unfit` says why it can't predict any row with this code, "" where it can. `reference` has
    the columns `penumbra.label` and `penumbra.prediction` of its reference, None where it is unfit.
    """

    version: str
    facts: Mapping[str, Any]
    predictions: np.ndarray
    unfit: str = ""
    reference: pl.DataFrame | None = None

    @property
    def known(self) -> np.ndarray:
        """Rows that have a prediction: bool [n]."""
        return ~np.isnan(self.predictions.reshape(len(self.predictions), -1)).any(axis=1)

    def has_same(self, predictions: np.ndarray) -> bool:
        """Tell whether another model predicts the very same: whatever its recipe is called, it is this one in effect.

        Args:
            predictions: Its predictions of the same rows, float64 [n] or [n, classes].

        Returns:
            Whether they are equal to the bit on all rows that have one here; no where none has.
        """
        known = self.known
        return bool(known.any()) and np.array_equal(np.asarray(predictions)[known], self.predictions[known])

    @property
    def why_unknown(self) -> str:
        """Why there are rows without a prediction, as a clause."""
        return self.unfit or (
            f"version {self.version} has learnt from all of these rows, and what its recipe predicted before isn't "
            "known: rows of the source's next batch can be compared"
        )


def predict_with_live(registry: RegistrySettings, problem: Problem, rows: pl.DataFrame) -> LivePredictions | None:
    """Predict rows of the data store with the live model.

    Args:
        registry: Section [registry] of the settings.
        problem: The problem, with schema and features.
        rows: Rows as the data store gives them, with the contract's columns and the batch.

    Returns:
        Its predictions, with the features that it was made with; none of any row, and the reason, if it can't predict
        with this code. None if there is no live model.

    Raises:
        BrokenBundle: The registry's bundle is damaged.
    """
    from penumbra.registry.models import ModelRegistry

    models = ModelRegistry(registry)
    version = models.version(LIVE_ALIAS)
    if version is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        models.download(version, Path(folder) / version)
        try:
            live = bundle.read_bundle(Path(folder) / version, problem, version)
        except UnfitBundle as reason:
            facts = read_manifest(Path(folder) / version)
            return LivePredictions(version, facts, _make_unknown(rows, Task.from_schema(problem.schema)), str(reason))
        reference = bundle.read_reference_rows(live.path).select(LABEL_COLUMN, PREDICTION_COLUMN)
        predictions = predict_held_out(live, rows, problem.schema.Row.primary_key())
        return LivePredictions(version, live.facts, predictions, reference=reference)


def collect_live_predictions(settings: Settings, problem: Problem, rows: pl.DataFrame) -> np.ndarray | None:
    """Collect what the live model predicted of rows, for candidates that learn from its errors.

    Args:
        settings: Section [registry] and those that the index of the logs needs are read.
        problem: The problem, with schema and features.
        rows: Rows as the data store gives them.

    Returns:
        Float64 [n] or [n, classes]: the live model's predictions out of sample or, of rows that it has learnt from,
        what the service answered before; NaN where neither is known, None if nothing at all is.
    """
    live = predict_with_live(settings.registry, problem, rows)
    index = LogIndex.of_all_replicas(settings, problem.schema)
    served = find_first_outputs(index, rows).to_numpy()
    if live is None:
        return None if np.isnan(served).all() else served
    return np.where(live.known.reshape(-1, *[1] * (served.ndim - 1)), live.predictions, served)


def predict_held_out(live: bundle.Bundle, rows: pl.DataFrame, key: Sequence[str]) -> np.ndarray:
    """Predict rows with a model as far as it hasn't learnt from them.

    Args:
        live: The model's bundle.
        rows: Rows with the contract's columns, the batch, and the first flywheel batch that had them, if any had.
        key: The columns of the contract's primary key; without one, rows that agree in batch and all columns are the
            same.

    Returns:
        Float64 [n] or [n, classes]: its predictions of rows of other batches than it learnt from; of the others what
        its recipe predicted before it learnt from them too, NaN where that isn't known.
    """
    batches = [name for part in SPLIT_PARTS for name in live.facts.get(part, [])]
    origins = pl.col(name for name in (BATCH_COLUMN, FLYWHEEL_COLUMN) if name in rows.columns)
    learnt = pl.any_horizontal(origins.is_in(batches).fill_null(value=False))
    rows = rows.with_row_index(ROW_NUMBER_COLUMN)
    new = rows.filter(~learnt)
    reference = bundle.read_reference_rows(live.path)
    predictions = _make_unknown(rows, live.task)
    predictions[new[ROW_NUMBER_COLUMN].to_numpy()] = live.score(new)
    names = list(key) or _list_compared_columns(reference)
    if all(reference.schema.get(name) == rows.schema.get(name) for name in names):  # as it was when that was written
        known = reference.select(*names, PREDICTION_COLUMN).unique(names, keep="first")
        held_out = rows.filter(learnt).join(known, on=names, how="inner", nulls_equal=not key)
        predictions[held_out[ROW_NUMBER_COLUMN].to_numpy()] = held_out[PREDICTION_COLUMN].to_numpy()
    return predictions


def _list_compared_columns(reference: pl.DataFrame) -> list[str]:
    """By what rows without a key are found again: what is equal in all of these got the same prediction."""
    names = [name for name, dtype in reference.schema.items() if not dtype.is_nested()]
    return [name for name in names if name not in (LABEL_COLUMN, PREDICTION_COLUMN)]


def _make_unknown(rows: pl.DataFrame, task: Task) -> np.ndarray:
    """Make predictions of which none is known: NaN, float64 [n] or [n, classes]."""
    return np.full((rows.height, *((len(task.classes),) if task.kind == "multiclass" else ())), np.nan)
