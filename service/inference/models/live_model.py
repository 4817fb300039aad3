"""The live model of one worker: the version in the pointer file, loaded aside and swapped in as one reference.

<state>/live               the version that answers; replaced as a whole by the deployer
<state>/previous           the one before: answers where the live one fails, or where its bundle is found broken
<state>/canary             a candidate that answers a share of the keys
<state>/live-refused       why the registry's live version isn't deployed, or not yet; that it has none
<state>/bundles/<version>  the bundles; beside them is what `explain` needs (see penumbra/registry/lineage.py)
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.problem import Problem
from penumbra.features import Record
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.manifest import UnfitBundle, drop_way_out
from penumbra.registry.pointers import (
    BUNDLES_FOLDER,
    CANARY_ALIAS,
    LIVE_ALIAS,
    LIVE_REFUSED_FILE,
    PREVIOUS_ALIAS,
    read_note,
    read_pointer,
)
from penumbra.rules import DecisionValue, ModelPriors
from service.http import metrics
from service.http.requests.responses import make_decision_function
from service.inference.rules.rule_engine import RuleEngine, RuleEngineFactory, make_empty_rule_engine

ScoredInputs = tuple[list[float], Any]
NO_LIVE_MODEL = "no live model is loaded yet: the registry is being asked which version is live"
BEING_LOADED = "version {} is live and is being loaded"

logger = logging.getLogger("service.inference.models.live_model")


@dataclass(frozen=True)
class LoadedModel:
    """A loaded version with its ways to score, which agree to the last bit: one record, a few, or a frame of many.

    One or a few records are scored on one thread only. All return the model's inputs and its output: see
    `penumbra.logs.schema.PredictionEntry`.
    """

    version: str
    score_one: Callable[[Record], ScoredInputs]
    decide: Callable[[Any], DecisionValue]
    rules: RuleEngine
    bundle: bundle.Bundle

    def score_few(self, records: Sequence[Record]) -> list[ScoredInputs]:
        """Score a few records in one call, with the results of `score_one` for each.

        Scoring four at once takes little more than scoring two one by one. A model that isn't compiled may give other
        last bits in a batch, so it scores them one by one.

        Args:
            records: The records by column.

        Returns:
            Inputs and output of each record.
        """
        if self.bundle.session is None:
            return [self.score_one(record) for record in records]
        matrix = np.array([self._row(record) for record in records], float)
        return list(zip(matrix.tolist(), self.bundle.predictions(matrix).tolist(), strict=True))

    def score_batch(self, rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Score a frame of records.

        Args:
            rows: Records with the contract's columns and dtypes.

        Returns:
            Inputs float64 [n, k] and predictions float64 [n] or [n, classes] (see penumbra/core/task.py).
        """
        return self.score_features(self.bundle.inputs.derive(rows))

    def score_features(self, features: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Score derived features.

        Args:
            features: The columns that `FeatureEncoder.derive` gives, of n rows.

        Returns:
            As `score_batch` does.
        """
        matrix = self.bundle.inputs.encode_frame(features)
        return matrix, self.bundle.predictions(matrix)

    @cached_property
    def _row(self) -> Callable[[Record], list[Any]]:
        return self.bundle.inputs.row()


PointerStamps = tuple[tuple[int, int] | None, ...]


class LiveModels:
    """The models that one worker has loaded; only `refresh` replaces them, each by one assignment.

    Attributes:
        state: The service's state folder.
        model: The live model, or None.
        previous: The model that answers where the live one fails, or None.
        canary: The model that answers for a share of the keys, or None; always None where `canaries` is false.
    """

    def __init__(
        self,
        state: Path,
        problem: Problem,
        make_rules: RuleEngineFactory = make_empty_rule_engine,
        canaries: bool = False,
        signers: Sequence[str] = (),
    ) -> None:
        self.model: LoadedModel | None = None
        self.previous: LoadedModel | None = None
        self.canary: LoadedModel | None = None
        self.state = state
        self._problem = problem
        self._refusal = ""
        self._ruled = make_rules
        self._signers = signers
        self._watched = (LIVE_ALIAS, CANARY_ALIAS) if canaries else (LIVE_ALIAS,)
        self._stamps: PointerStamps = ()

    def has_changed(self) -> bool:
        """Check whether a pointer was replaced since the last `refresh`, at the cost of one or two calls of stat().

        Returns:
            True if there is a live pointer and any watched pointer changed.
        """
        return (stamps := self._read_stamps())[0] is not None and stamps != self._stamps

    def get_loaded(self) -> dict[str, LoadedModel]:
        """Return the loaded models by version, the live one first."""
        loaded = (self.model, self.previous, self.canary)
        return {model.version: model for model in loaded if model}

    def explain_absence(self) -> str:
        """Say why no model is loaded.

        Returns:
            A sentence for clients and readiness, with what to do about it.
        """
        if reason := self._refusal or read_note(self.state / LIVE_REFUSED_FILE):
            return reason
        version = read_pointer(self.state)
        return BEING_LOADED.format(version) if version else NO_LIVE_MODEL

    def refresh(self) -> None:
        """Load the versions that the pointers name.

        A bundle that can't be used is logged and counted; the old model stays.
        """
        stamps, self._stamps, old = self._stamps, self._read_stamps(), self.model
        if stamps[:1] != self._stamps[:1]:
            loaded = self._load(LIVE_ALIAS) or (self._load(PREVIOUS_ALIAS) if self.model is None else None)
            if loaded:
                self._swap(loaded)
        self.canary = self._load_other(CANARY_ALIAS, old) if CANARY_ALIAS in self._watched else None
        self.previous = self._load_other(PREVIOUS_ALIAS, old)

    def _load_other(self, pointer: str, old: LoadedModel | None) -> LoadedModel | None:
        """Return the model of another pointer than `live`, if it is another version; load it only if necessary."""
        version = read_pointer(self.state, pointer)
        if version is None or self.model is None or version == self.model.version:
            return None
        at_hand = (model for model in (old, self.previous, self.canary) if model and model.version == version)
        return next(at_hand, None) or self._load(pointer)

    def _read_stamps(self) -> PointerStamps:
        return tuple(_read_stamp(self.state / pointer) for pointer in self._watched)

    def _load(self, pointer: str) -> LoadedModel | None:
        version = read_pointer(self.state, pointer)
        if version is None:
            return None
        try:
            return load_model_version(self.state, version, self._problem, self._ruled, self._signers)
        except Exception as error:  # whatever is wrong with the files, the worker continues
            metrics.refused_bundles.inc()
            if pointer == LIVE_ALIAS:
                is_fit = not isinstance(error, UnfitBundle)
                self._refusal = f"the live version {version} can't be loaded: see the log" if is_fit else str(error)
            if pointer == PREVIOUS_ALIAS and self.model and isinstance(error, UnfitBundle):
                logger.warning("no previous version to roll back to: %s", drop_way_out(str(error)))
                return None
            consequence = f"version {self.model.version} goes on" if self.model else "no other model is loaded"
            logger.error("model version %s is refused, %s: %s", version, consequence, error)
            return None

    def _swap(self, model: LoadedModel) -> None:
        old, self.model = self.model, model
        metrics.record_live_version(model.version, old.version if old else None)
        logger.info("model version %s is live%s", model.version, f", version {old.version} was" if old else "")


def load_model_version(
    state: Path,
    version: str,
    problem: Problem,
    make_rules: RuleEngineFactory = make_empty_rule_engine,
    signers: Sequence[str] = (),
) -> LoadedModel:
    """Load and check one version's bundle.

    Args:
        state: The service's state folder.
        version: The version to load.
        problem: The problem, with schema and features; the bundle brings the features that it was made with.
        make_rules: Builds the rule engine of the version.
        signers: Public keys, one of which must have signed the bundle, if any.

    Returns:
        The model, ready to score.

    Raises:
        BrokenBundle: The bundle is damaged. Damaged files may cause other errors.
        UnfitBundle: The problem has changed so that the version can't answer, or it isn't signed.
    """
    folder = state / BUNDLES_FOLDER / version
    return make_loaded_model(bundle.read_bundle(folder, problem, version, signers), make_rules)


def make_loaded_model(loaded: bundle.Bundle, make_rules: RuleEngineFactory = make_empty_rule_engine) -> LoadedModel:
    """Bind a bundle's ways to score.

    Args:
        loaded: The bundle.
        make_rules: Builds the rule engine of the version.

    Returns:
        The model, ready to score.
    """
    decide = make_decision_function(loaded.task, loaded.threshold)
    readers = {kind.name: kind.scalar() for kind in loaded.inputs.kinds if kind.categorical}
    counts, baseline = loaded.facts.get("counts", {}), loaded.facts.get("baseline")
    priors = ModelPriors(loaded.threshold, counts, baseline, readers)  # type: ignore[arg-type]
    return LoadedModel(loaded.version, _make_record_scorer(loaded), decide, make_rules(priors, decide), loaded)


def _read_stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _make_record_scorer(loaded: bundle.Bundle) -> Callable[[Record], ScoredInputs]:
    """Return a function from a record to its inputs and output.

    It writes to arrays that are bound to the session once, as onnxruntime's checks of arguments take longer than the
    model. No two threads may call it at once.
    """
    row = loaded.inputs.row()
    if loaded.session is None:  # this model could not be compiled
        return lambda record: (values := row(record), loaded.predictions(np.array([values]))[0].tolist())
    (values,), outputs, run = bundle.bind_session(loaded.session, len(loaded.inputs.kinds))
    read_output = {
        "binary": lambda: outputs.item(1),
        "multiclass": lambda: outputs[0].tolist(),
        "regression": lambda: outputs.item(0),
    }[loaded.task.kind]

    def score_one(record: Record) -> ScoredInputs:
        values[:] = row(record)
        run()
        return values.tolist(), read_output()

    return score_one
