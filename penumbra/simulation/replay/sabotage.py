"""A sabotaged candidate: it looks like any other and predicts the opposite, as a broken training might make one."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.system.actor import get_actor
from penumbra.core.task import Task
from penumbra.registry import aliases
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.training.onnx.compile import compile_model, predict_outputs

TREE_LEAVES, SABOTAGE_PROBE_ROWS, SABOTAGED_NAME = 200, 256, "sabotaged"


def register_sabotaged(settings: Settings, problem: Problem) -> str:
    """Register a sabotaged candidate, with the live model's recipe and a passed gate in the ledger.

    Args:
        settings: Sections [registry] and [ledger] are read.
        problem: The problem, with schema and features.

    Returns:
        Its version.
    """
    models = ModelRegistry(settings.registry)
    live = models.version(LIVE_ALIAS) or ""
    with TemporaryDirectory() as folder:
        models.download(live, Path(folder) / live)
        facts = _invert_model(Path(folder) / live, live, problem)
        now = time.time()
        run = models.record(FinishedRun(f"train {SABOTAGED_NAME}", now, now), artifacts={"bundle": Path(folder) / live})
        tags = {"fingerprint": SABOTAGED_NAME, "data_version": facts["data_version"]}
        version = models.register(run, "bundle", tags)
    ledger = open_ledger(settings)
    with aliases.hold_alias_lock(ledger):
        models.set_alias(CANDIDATE_ALIAS, version)
    versions, why = {CANDIDATE_ALIAS: version, LIVE_ALIAS: live}, "gate, before it was tampered with"
    ledger.append(LedgerEvent(kind="verdict", verdict="pass", actor=get_actor(), reason=why, versions=versions))
    return version


def _invert_model(folder: Path, version: str, problem: Problem) -> dict[str, str]:
    """Replace a bundle's model by one that learnt the opposite of its predictions; return the facts of the bundle."""
    made = bundle.read_bundle(folder, problem, version)
    matrix = made.inputs.encode_rows(bundle.read_reference_rows(folder))
    opposite = fit_opposite(made.task, matrix, made.predictions(matrix))
    probe = matrix[:SABOTAGE_PROBE_ROWS]
    bundle_writing.write_model_files(
        folder, compile_model(opposite, matrix.shape[1]), probe, predict_outputs(opposite, probe)
    )
    facts = {key: value for key, value in made.facts.items() if key not in ("sha256", "version")}
    bundle_writing.seal_bundle(folder, facts, made.inputs.kinds, made.inputs.tables)
    return dict(facts)


def fit_opposite(task: Task, matrix: np.ndarray, predictions: np.ndarray) -> Any:
    """Fit a tree that predicts the opposite of some predictions.

    Args:
        task: The task.
        matrix: The inputs, float64 [n, k].
        predictions: The predictions, float64 [n] or [n, classes].

    Returns:
        A fitted classifier that takes the class for likely that was least likely (of two: that was less likely than
        usual), or a regressor whose values lie as far on the other side of the median.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree = {"max_leaf_nodes": TREE_LEAVES, "min_samples_leaf": min(20, len(matrix)), "random_state": 0}
    if task.kind == "regression":
        return DecisionTreeRegressor(**tree).fit(matrix, 2 * np.median(predictions) - predictions)
    least = predictions.argmin(axis=1) if task.kind == "multiclass" else predictions <= np.median(predictions)
    classes = np.arange(len(task.classes)) if task.kind == "multiclass" else np.array([False, True])
    inputs = np.vstack(
        [matrix, np.repeat(matrix[:1], len(classes), axis=0)]
    )  # a row of each class, for all to be known
    return DecisionTreeClassifier(**tree).fit(inputs, np.append(least, classes))
