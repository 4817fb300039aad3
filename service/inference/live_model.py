"""The live model of one worker: what the pointer file names, loaded aside and swapped in as one reference.

<state>/live               the version that answers; replaced as a whole by the deployer (service/processes/deployer.py)
<state>/previous           the one before: answers where the live one fails, or where its bundle is found broken
<state>/canary             a candidate that answers a share of the keys
<state>/bundles/<version>  the bundles (and beside them more that `explain` needs: see penumbra/registry/lineage.py)
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.encoding import derive_features
from penumbra.core.task import Task
from penumbra.features import Feature, Record
from penumbra.registry import bundle
from penumbra.registry.lineage import BUNDLES_FOLDER
from penumbra.registry.pointers import CANARY_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS, read_pointer
from penumbra.rules import DecisionValue, ModelPriors
from service.http import metrics
from service.http.responses import make_decision_function
from service.inference.rule_engine import RuleEngine, RuleEngineFactory, make_empty_rule_engine

ScoredInputs = tuple[list[float], Any]

logger = logging.getLogger("service.inference.live_model")


@dataclass(frozen=True)
class LoadedModel:
    """A loaded version with its ways to score, which agree to the last bit: one record or a few (on one thread only), a
    frame of many.

    All give the model's inputs, and what it makes of them: see `penumbra.logs.schema.PredictionEntry`.
    """

    version: str
    score_one: Callable[[Record], ScoredInputs]
    decide: Callable[[Any], DecisionValue]
    rules: RuleEngine
    bundle: bundle.Bundle

    def score_few(self, records: Sequence[Record]) -> list[ScoredInputs]:
        """What `one` gives of each. Scoring four at once takes little more than scoring two one by one; what isn't
        compiled may give other last bits then, and is asked one by one."""
        if self.bundle.session is None:
            return [self.score_one(record) for record in records]
        matrix = np.array([self._row(record) for record in records], float)
        return list(zip(matrix.tolist(), self.bundle.predictions(matrix).tolist(), strict=True))

    def score_batch(self, rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Inputs float64 [n, k] and predictions (see penumbra/core/task.py)."""
        matrix = self.bundle.inputs.encode_frame(derive_features(self.bundle.inputs.kinds, rows))
        return matrix, self.bundle.predictions(matrix)

    @cached_property
    def _row(self) -> Callable[[Record], list[Any]]:
        return self.bundle.inputs.row()


PointerStamps = tuple[tuple[int, int] | None, ...]


class LiveModels:
    """`model` is the live model or None, `previous` what stands in for it or None, `canary` what answers for some keys
    or None; `refresh` and only it replaces each, by one assignment. With `canaries` false there is never one."""

    def __init__(
        self,
        state: Path,
        kinds: Sequence[Feature],
        task: Task,
        ruled: RuleEngineFactory = make_empty_rule_engine,
        canaries: bool = False,
    ) -> None:
        self.model: LoadedModel | None = None
        self.previous: LoadedModel | None = None
        self.canary: LoadedModel | None = None
        self._state = state
        self._kinds = kinds
        self._task = task
        self._ruled = ruled
        self._watched = (LIVE_ALIAS, CANARY_ALIAS) if canaries else (LIVE_ALIAS,)
        self._seen: PointerStamps = ()

    def has_changed(self) -> bool:
        """Was a pointer replaced since the last `refresh`? Costs a stat() or two."""
        return (mark := self._read_stamps())[0] is not None and mark != self._seen

    def refresh(self) -> None:
        """Load what the pointers name. A bundle that can't be used is logged and counted; the old one goes on."""
        seen, self._seen, old = self._seen, self._read_stamps(), self.model
        if seen[:1] != self._seen[:1]:
            loaded = self._load(LIVE_ALIAS) or (self._load(PREVIOUS_ALIAS) if self.model is None else None)
            if loaded:
                self._swap(loaded)
        self.canary = self._load_beside(CANARY_ALIAS, old) if CANARY_ALIAS in self._watched else None
        self.previous = self._load_beside(PREVIOUS_ALIAS, old)

    def _load_beside(self, pointer: str, old: LoadedModel | None) -> LoadedModel | None:
        """What a pointer names, where it is another version than the live one; loaded anew only where it must be."""
        version = read_pointer(self._state, pointer)
        if version is None or self.model is None or version == self.model.version:
            return None
        at_hand = (model for model in (old, self.previous, self.canary) if model and model.version == version)
        return next(at_hand, None) or self._load(pointer)

    def _read_stamps(self) -> PointerStamps:
        return tuple(_read_stamp(self._state / pointer) for pointer in self._watched)

    def _load(self, pointer: str) -> LoadedModel | None:
        version = read_pointer(self._state, pointer)
        if version is None:
            return None
        try:
            return load_model_version(self._state, version, self._kinds, self._task, self._ruled)
        except Exception as error:  # whatever is wrong with the files, the worker must go on
            metrics.refused_bundles.inc()
            kept = f"version {self.model.version} goes on" if self.model else "no other model is loaded"
            logger.error("model version %s is refused, %s: %s", version, kept, error)
            return None

    def _swap(self, model: LoadedModel) -> None:
        old, self.model = self.model, model
        metrics.record_live_version(model.version, old.version if old else None)
        logger.info("model version %s is live%s", model.version, f", version {old.version} was" if old else "")


def load_model_version(
    state: Path, version: str, kinds: Sequence[Feature], task: Task, ruled: RuleEngineFactory = make_empty_rule_engine
) -> LoadedModel:
    """Load and check one version's bundle. Raises bundle.BrokenBundle, or what its files cause."""
    loaded = bundle.read_bundle(state / BUNDLES_FOLDER / version, kinds, version, task)
    decide = make_decision_function(task, loaded.threshold)
    known = ModelPriors(loaded.threshold, loaded.facts.get("counts", {}), loaded.facts.get("baseline"))
    return LoadedModel(version, _make_record_scorer(loaded), decide, ruled(known, decide), loaded)


def _read_stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _make_record_scorer(loaded: bundle.Bundle) -> Callable[[Record], ScoredInputs]:
    """A function from a record to its inputs and output. It writes to arrays bound to the session once and for all, as
    onnxruntime's checks of its arguments would take longer than the model; so no two threads may call it at once."""
    row = loaded.inputs.row()
    if loaded.session is None:  # this model could not be compiled
        return lambda record: (values := row(record), loaded.predictions(np.array([values]))[0].tolist())
    run = loaded.session.run_with_iobinding
    inputs = np.full((1, len(loaded.inputs.kinds)), np.nan)
    values = inputs[0]
    outputs = np.empty_like(loaded.compute_outputs(inputs))
    binding = loaded.session.io_binding()
    binding.bind_input("inputs", "cpu", 0, np.float64, inputs.shape, inputs.ctypes.data)
    binding.bind_output("output", "cpu", 0, outputs.dtype, outputs.shape, outputs.ctypes.data)
    read = {
        "binary": lambda: outputs.item(1),
        "multiclass": lambda: outputs[0].tolist(),
        "regression": lambda: outputs.item(0),
    }[loaded.task.kind]

    def one(record: Record) -> ScoredInputs:
        values[:] = row(record)
        run(binding)
        return values.tolist(), read()

    return one
