"""A candidate that looks like any other and says the opposite: what a broken training, or somebody, might register."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from flows.who import actor
from inputs import derive
from problem.features import FEATURES
from settings import Settings
from stores import bundle, moves
from stores.ledger import Event, Ledger
from stores.models import Models, Run
from stores.pointers import CANDIDATE, POINTER
from training.compile import compile_model

LEAVES, PROBE, NAME = 200, 256, "sabotaged"


def register(chosen: Settings) -> str:
    """Register it as the candidate, with the live model's recipe and the gate's word; returns its version."""
    models = Models(chosen.registry)
    live = models.version(POINTER) or ""
    with TemporaryDirectory() as place:
        models.download(live, Path(place) / live)
        facts = _turn_round(Path(place) / live, live)
        now = time.time()
        run = models.record(Run(f"train {NAME}", now, now), artifacts={"bundle": Path(place) / live})
        tags = {"fingerprint": NAME, "data_version": facts["data_version"]}
        version = models.register(run, "bundle", tags)
    with moves.alone(chosen.ledger.folder):
        models.point(CANDIDATE, version)
    versions, why = {CANDIDATE: version, POINTER: live}, "gate, before it was tampered with"
    Ledger(chosen.ledger.folder).append(
        Event(kind="verdict", verdict="pass", actor=actor(), reason=why, versions=versions)
    )
    return version


def _turn_round(folder: Path, version: str) -> dict[str, str]:
    """Put a model that learnt the opposite of the bundle's own answers in the place of its model."""
    from sklearn.tree import DecisionTreeClassifier

    made = bundle.read(folder, FEATURES, version)
    matrix = made.inputs.matrix(derive(FEATURES, pl.read_parquet(folder / "reference.parquet")))
    said = made.predictions(matrix)
    late = said > np.median(said)
    opposite = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=20, random_state=0).fit(matrix, ~late)
    probe = matrix[:PROBE]
    bundle.write_model(folder, compile_model(opposite, matrix.shape[1]), probe, opposite.predict_proba(probe))
    facts = {key: value for key, value in made.facts.items() if key not in ("sha256", "version")}
    bundle.seal(folder, facts, FEATURES, made.inputs.tables)
    return dict(facts)
