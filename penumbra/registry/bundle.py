"""A bundle: a directory with all that serving needs of one model version. Nothing in it executes on load.

bundle.json        task, inputs and category tables, threshold, metrics, and where the model came from
model.onnx         the compiled model (penumbra/training/onnx/compile.py); or, of an estimator that can't be compiled,
model.skops        the fitted estimator, made only of types that penumbra/registry/skops_model.py lists
probe.npz          some input rows with the fitted model's own answers: a bundle that answers otherwise is refused
reference.parquet  held-out rows with their labels and scores: what "normal" looks like to this model
"""

import io
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, by the import

import numpy as np
import onnxruntime
import polars as pl

from penumbra.core.encoding import CategoryTables, FeatureEncoder, derive_features
from penumbra.core.task import Task
from penumbra.features import Feature
from penumbra.registry import skops_model
from penumbra.registry.manifest import BrokenBundle, hash_bundle_file, verify_bundle, write_manifest

ONNX_FILE, SKOPS_FILE = "model.onnx", "model.skops"
PROBE_AND_REFERENCE_FILES = ("probe.npz", "reference.parquet")
PROBE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Bundle:
    """One model version, ready to score. Immutable: a swap replaces the whole object.

    Either `session` runs the compiled model, or `fitted` is the scikit-learn estimator that can't be compiled.
    """

    path: Path
    facts: Mapping[str, Any]
    inputs: FeatureEncoder
    session: onnxruntime.InferenceSession | None
    fitted: Any = None

    @property
    def version(self) -> str:
        return str(self.facts["version"])

    @property
    def threshold(self) -> float:
        """From which probability on a binary task decides for True; NaN for other tasks."""
        return float(self.facts.get("threshold", "nan"))

    @property
    def task(self) -> Task:
        """What it was made to predict."""
        return _read_task(self.facts)

    def compute_outputs(self, matrix: np.ndarray) -> np.ndarray:
        """The model's raw output for a float64 matrix [n, k]: [n, classes] probabilities, or [n] values."""
        if self.session is not None:
            return self.session.run(None, {"inputs": matrix})[0]
        ask = self.fitted.predict if self.task.kind == "regression" else self.fitted.predict_proba
        return np.asarray(ask(matrix), float)

    def score(self, rows: pl.DataFrame) -> np.ndarray:
        """Predictions for rows that keep the contract: float64 [n], or [n, classes] (see penumbra/core/task.py)."""
        return self.predictions(self.inputs.encode_frame(derive_features(self.inputs.kinds, rows)))

    def predictions(self, matrix: np.ndarray) -> np.ndarray:
        """Predictions for a float64 matrix [n, k]."""
        outputs = self.compute_outputs(matrix)
        return outputs[:, 1] if self.task.kind == "binary" else outputs


def write_model_files(folder: Path, model: bytes, inputs: np.ndarray, outputs: np.ndarray) -> None:
    """The model, ONNX or skops, and the probe: inputs [n, k] with the outputs [n, …] that the fitted model gives.

    Raises BrokenBundle where a skops archive holds a type that `read` wouldn't load.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (ONNX_FILE, SKOPS_FILE):
        (folder / name).unlink(missing_ok=True)
    if skops_model.is_skops_archive(model):
        (folder / SKOPS_FILE).write_bytes(model)
        skops_model.load_skops_model(folder / SKOPS_FILE)
    else:
        (folder / ONNX_FILE).write_bytes(model)
    np.savez(folder / "probe.npz", inputs=inputs, outputs=outputs)


def write_reference_rows(folder: Path, reference: pl.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    reference.write_parquet(folder / "reference.parquet")


def seal_bundle(folder: Path, facts: Mapping[str, Any], kinds: Sequence[Feature], tables: CategoryTables) -> None:
    """Write bundle.json, which makes a folder with model and reference a bundle: what it is, and what is in it.

    The fact "task" is that of the contract; a bundle without it is of a binary task.
    """
    model = SKOPS_FILE if (folder / SKOPS_FILE).exists() else ONNX_FILE
    sums = {name: hash_bundle_file(folder / name) for name in (model, *PROBE_AND_REFERENCE_FILES)}
    described = {"inputs": describe_features(kinds), "tables": tables, "sha256": sums}
    whole = json.loads(json.dumps({**facts, **described}, default=str))
    write_manifest(folder, whole)


def read_bundle(folder: Path, kinds: Sequence[Feature], version: str = "", task: Task | None = None) -> Bundle:
    """Load a bundle and make sure that it is whole and that it answers as the fitted model did.

    Raises BrokenBundle for a missing or changed file, for other features than this code's, for another task than
    `task`, and for wrong answers.
    """
    facts = verify_bundle(folder)
    if task not in (None, _read_task(facts)):
        raise BrokenBundle(f"{folder}: made for another task: {_read_task(facts)}; the contract has {task}")
    if _read_task(facts).kind == "binary" and "threshold" not in facts:
        raise BrokenBundle(f"{folder}: has no threshold")
    if facts["inputs"] != describe_features(kinds):
        raise BrokenBundle(
            f"{folder}: made for other features: {facts['inputs']}; this code has {describe_features(kinds)}"
        )
    bundle = Bundle(
        folder,
        {"version": version, **facts},
        FeatureEncoder(tuple(kinds), facts["tables"]),
        *load_bundle_model(folder, facts["sha256"]),
    )
    _check_probe_outputs(bundle)
    return bundle


def load_bundle_model(folder: Path, files: Collection[str]) -> tuple[onnxruntime.InferenceSession | None, Any]:
    """A bundle's `session` and `fitted`, one of which is None. Raises BrokenBundle."""
    if SKOPS_FILE in files:
        return None, skops_model.load_skops_model(folder / SKOPS_FILE)
    return open_onnx_session(folder / ONNX_FILE), None


def open_onnx_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """The compiled model, from a file or bytes, on one thread: with more, sums differ in the last bit. Raises
    BrokenBundle."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; a line for each row would drown the log
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises several unrelated types for what it can't use
        raise BrokenBundle(f"{model if isinstance(model, Path) else 'the model'}: {error}") from None


def describe_features(kinds: Sequence[Feature]) -> list[str]:
    """The features in words: what the matrix's columns mean."""
    return [repr(kind) for kind in kinds]


def _read_task(facts: Mapping[str, Any]) -> Task:
    described = facts.get("task", {"kind": "binary"})
    return Task(described["kind"], tuple(described.get("classes", ())))


def _check_probe_outputs(bundle: Bundle) -> None:
    probe = np.load(io.BytesIO((bundle.path / "probe.npz").read_bytes()), allow_pickle=False)
    outputs, task = bundle.compute_outputs(probe["inputs"]), bundle.task
    columns = {"binary": (2,), "multiclass": (len(task.classes),), "regression": ()}[task.kind]
    if outputs.shape[1:] != columns:
        raise BrokenBundle(f"{bundle.path}: its answers have the shape {outputs.shape}: expected {columns} for {task}")
    difference = float(np.abs(outputs - probe["outputs"]).max())
    if not difference <= PROBE_TOLERANCE:
        raise BrokenBundle(f"{bundle.path}: its answers differ from the fitted model's by {difference:.3g}")
