"""A sabotaged candidate: it looks like any other and predicts the opposite, as a broken training might make one."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from penumbra.core.actor import get_actor
from penumbra.core.encoding import derive_features
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.registry import aliases, bundle
from penumbra.registry.ledger import Ledger, LedgerEvent
from penumbra.registry.models import FinishedRun, ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS
from penumbra.training.onnx.compile import compile_model

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
    with aliases.hold_alias_lock(settings.ledger.folder):
        models.set_alias(CANDIDATE_ALIAS, version)
    versions, why = {CANDIDATE_ALIAS: version, LIVE_ALIAS: live}, "gate, before it was tampered with"
    Ledger(settings.ledger.folder).append(
        LedgerEvent(kind="verdict", verdict="pass", actor=get_actor(), reason=why, versions=versions)
    )
    return version


def _invert_model(folder: Path, version: str, problem: Problem) -> dict[str, str]:
    """Replace a bundle's model by one that learnt the opposite of its predictions; return the facts of the bundle."""
    from sklearn.tree import DecisionTreeClassifier

    made = bundle.read_bundle(folder, problem, version)
    matrix = made.inputs.encode_frame(derive_features(made.inputs.kinds, bundle.read_reference_rows(folder)))
    said = made.predictions(matrix)
    late = said > np.median(said)
    opposite = DecisionTreeClassifier(max_leaf_nodes=TREE_LEAVES, min_samples_leaf=20, random_state=0).fit(
        matrix, ~late
    )
    probe = matrix[:SABOTAGE_PROBE_ROWS]
    bundle.write_model_files(folder, compile_model(opposite, matrix.shape[1]), probe, opposite.predict_proba(probe))
    facts = {key: value for key, value in made.facts.items() if key not in ("sha256", "version")}
    bundle.seal_bundle(folder, facts, made.inputs.kinds, made.inputs.tables)
    return dict(facts)
