"""Bundles: a directory with everything that serving needs of one model version; nothing in it executes on load.

bundle.json.sig    the signature of bundle.json, if training had a key (penumbra/registry/bundles/signatures.py)
bundle.json        task, features and category tables, the contract's columns, threshold, metrics, and its origin
model.onnx         the compiled model (penumbra/training/onnx/compile.py); or, of an estimator that can't be compiled,
model.skops        the fitted estimator, made only of types that penumbra/registry/bundles/skops_model.py lists
attributions.npz   the model as a sum of trees and linear terms, by which its answers are explained, or why it is none
probe.npz          some input rows with the fitted model's own answers: a bundle that answers otherwise is refused
card.json, card.md, card.html  what people read of the version (monitoring/dashboard/model_cards/card_sections.py)
reference.parquet  held-out rows with their labels and scores: what "normal" looks like to this model
"""

import io
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, by the import

import numpy as np
import onnxruntime
import polars as pl

from penumbra.core.attributions.additive_model import Explainer, NotExplainable, Transform, read_models
from penumbra.core.columns import BATCH_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN, add_missing_prefix
from penumbra.core.contract.contract_changes import find_contract_break
from penumbra.core.contract.feature_specs import UnreadableFeature, read_features
from penumbra.core.encoding import FeatureEncoder
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.problem import Problem
from penumbra.core.task import Task
from penumbra.features import Feature
from penumbra.registry.bundles import skops_model
from penumbra.registry.bundles.manifest import (
    CARD_FILES,
    WAY_OUT,
    BrokenBundle,
    UnfitBundle,
    read_bundle_limits,
    verify_bundle,
    verify_bundle_file,
)
from penumbra.registry.bundles.version_facts import read_bundle_task

ONNX_FILE, SKOPS_FILE = "model.onnx", "model.skops"
PROBE_AND_REFERENCE_FILES = ("probe.npz", "reference.parquet")
ATTRIBUTIONS_FILE = "attributions.npz"
UNLABELLED_FILE = "unlabelled.parquet"  # rows of the reference's days that have no outcome
OPTIONAL_FILES = (ATTRIBUTIONS_FILE, UNLABELLED_FILE, *CARD_FILES)
REFERENCE_COLUMNS = (BATCH_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN)  # beside the contract's
PROBE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Bundle:
    """One model version, ready to score. Immutable: a swap replaces the whole object.

    Attributes:
        path: The bundle's folder.
        facts: The content of bundle.json, and "version".
        inputs: Turns records and frames into the model's matrix.
        session: Runs the compiled model; None if the model can't be compiled.
        fitted: The scikit-learn estimator that can't be compiled; None beside a session.
    """

    path: Path
    facts: Mapping[str, Any]
    inputs: FeatureEncoder
    session: onnxruntime.InferenceSession | None
    fitted: Any = None

    @property
    def version(self) -> str:
        """The model version's number, or "" for a bundle that isn't registered."""
        return str(self.facts["version"])

    @property
    def threshold(self) -> float:
        """The lowest probability for which a binary task decides for True; NaN for other tasks."""
        return float(self.facts["threshold"]) if self.task.kind == "binary" else float("nan")

    @property
    def task(self) -> Task:
        """The task that the model was trained for."""
        return read_bundle_task(self.facts)

    @cached_property
    def limits(self) -> ConformalLimits | None:
        """The conformal limits of the version; None in a bundle of a release that had none."""
        return read_bundle_limits(self.facts)

    @cached_property
    def explainer(self) -> Explainer:
        """The explainer of the model's scores, read when it is first asked for.

        Raises:
            NotExplainable: The scores are no sums of trees and linear terms, or the bundle doesn't say so any more.
        """
        if ATTRIBUTIONS_FILE not in self.facts["sha256"]:
            raise NotExplainable("it was made before attributions were recorded: train it again")
        try:
            verify_bundle_file(self.path / ATTRIBUTIONS_FILE, self.facts["sha256"][ATTRIBUTIONS_FILE])
        except BrokenBundle:
            said = f"its {ATTRIBUTIONS_FILE} is gone or was changed since the version was loaded"
            raise NotExplainable(said) from None
        return Explainer(read_models((self.path / ATTRIBUTIONS_FILE).read_bytes()), open_transform)

    def compute_outputs(self, matrix: np.ndarray) -> np.ndarray:
        """Compute the model's raw output.

        Args:
            matrix: float64 [n, k], a column for each input (see `FeatureEncoder`).

        Returns:
            [n, classes] probabilities, or [n] values of a regression; float64 of an estimator, of a compiled model the
            dtype that its graph has. Of no rows, empty in that shape and float64: estimators refuse to be asked.
        """
        if not len(matrix):
            return np.empty((0, *_get_output_shape(self.task)))
        if self.session is not None:
            return self.session.run(None, {"inputs": matrix})[0]
        predict = self.fitted.predict if self.task.kind == "regression" else self.fitted.predict_proba
        return np.asarray(predict(matrix), float)

    def score(self, rows: pl.DataFrame) -> np.ndarray:
        """Predict for rows that keep the contract.

        Args:
            rows: A frame with the contract's columns that the features need; n rows.

        Returns:
            float64 [n], or [n, classes] (see penumbra/core/task.py).
        """
        return self.predictions(self.inputs.encode_rows(rows))

    def predictions(self, matrix: np.ndarray) -> np.ndarray:
        """Predict for encoded rows.

        Args:
            matrix: float64 [n, k], a column for each input.

        Returns:
            float64 [n]: probabilities of True, or values of a regression; [n, classes] of a multi-class task.
        """
        outputs = self.compute_outputs(matrix)
        return outputs[:, 1] if self.task.kind == "binary" else outputs


def read_reference_rows(folder: Path) -> pl.DataFrame:
    """Read the reference rows of a bundle.

    Args:
        folder: The bundle's folder.

    Returns:
        The rows, with the columns of `write_reference_rows`.
    """
    return _read_rows(folder / "reference.parquet")


def read_unlabelled_rows(folder: Path) -> pl.DataFrame | None:
    """Read the rows of the reference's days that have no outcome.

    Args:
        folder: The bundle's folder.

    Returns:
        The rows, with the columns of `write_reference_rows`; None where there are none.
    """
    path = folder / UNLABELLED_FILE
    return _read_rows(path) if path.exists() else None


def _read_rows(path: Path) -> pl.DataFrame:
    return add_missing_prefix(pl.read_parquet(path, glob=False), REFERENCE_COLUMNS)


def read_bundle(folder: Path, problem: Problem, version: str = "", signers: Sequence[str] = ()) -> Bundle:
    """Load a bundle with the features that it was made with; check that it is whole and answers as the fitted model.

    Args:
        folder: The bundle's folder.
        problem: The problem as it is today, with schema and features.
        version: The model version's number, "" for a bundle that isn't registered.
        signers: Public keys, one of which must have signed the bundle, if any; where it is to answer, those of the
            settings' `registry.signed_by`.

    Returns:
        The bundle, ready to score.

    Raises:
        BrokenBundle: A file is missing or changed; the bundle has no threshold although its task is binary; or its
            answers to the probe are wrong.
        UnfitBundle: The bundle is whole, but the problem has changed so that it can't be used: another task, a column
            that its features read is gone or of another type, a feature that this code can't read; or it isn't signed.
    """
    facts = verify_bundle(folder, signers)
    inputs = FeatureEncoder(read_bundle_features(facts, problem, version), facts["tables"])
    if read_bundle_task(facts).kind == "binary" and "threshold" not in facts:
        raise BrokenBundle(f"{folder}: has no threshold")
    bundle = Bundle(folder, {"version": version, **facts}, inputs, *load_bundle_model(folder, facts["sha256"]))
    _check_probe_outputs(bundle)
    return bundle


def read_bundle_features(facts: Mapping[str, Any], problem: Problem, version: str = "") -> tuple[Feature, ...]:
    """Read the features that a model was made with.

    Args:
        facts: The content of bundle.json.
        problem: The problem as it is today, with schema and features.
        version: The model version's number, for the message.

    Returns:
        The features, in the order of the matrix's columns.

    Raises:
        UnfitBundle: The model can't be used any more, as the problem has changed.
    """
    known, schema = problem.features.FEATURES, problem.schema
    try:
        features = read_features(facts["inputs"], schema.Row, known)
        reason = find_contract_break(facts.get("contract", {}), features, read_bundle_task(facts), schema)
    except UnreadableFeature as error:
        reason = f"it was made with {error}"
    if reason:
        raise UnfitBundle(f"version {version or 'of this bundle'} can't answer with this code: {reason}; {WAY_OUT}")
    return features


def load_bundle_model(folder: Path, files: Collection[str]) -> tuple[onnxruntime.InferenceSession | None, Any]:
    """Load the model of a bundle, in whichever form it has.

    Args:
        folder: The bundle's folder.
        files: The names of the bundle's files.

    Returns:
        The bundle's `session` and `fitted`, one of which is None.

    Raises:
        BrokenBundle: The model can't be loaded.
    """
    if SKOPS_FILE in files:
        return None, skops_model.load_skops_model(folder / SKOPS_FILE)
    return open_onnx_session(folder / ONNX_FILE), None


def open_onnx_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """Open a compiled model for scoring on one thread: with more, sums differ in the last bit.

    Args:
        model: The ONNX model's file, or its bytes.

    Returns:
        The session.

    Raises:
        BrokenBundle: onnxruntime can't use the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; a line for each row would drown the log
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises several unrelated types for what it can't use
        raise BrokenBundle(f"{model if isinstance(model, Path) else 'the model'}: {error}") from None


def bind_session(
    session: onnxruntime.InferenceSession, width: int
) -> tuple[np.ndarray, np.ndarray, Callable[[], None]]:
    """Bind a compiled model to arrays of one row, by which single records are scored.

    Args:
        session: The model's session.
        width: The number of its inputs.

    Returns:
        The inputs, float64 [1, width]; the outputs, in the model's shape and dtype; and a function that computes these
        of the inputs as they are then.
    """
    inputs = np.full((1, width), np.nan)
    outputs = np.empty_like(session.run(None, {"inputs": inputs})[0])
    binding = session.io_binding()
    binding.bind_input("inputs", "cpu", 0, np.float64, inputs.shape, inputs.ctypes.data)
    binding.bind_output("output", "cpu", 0, outputs.dtype, outputs.shape, outputs.ctypes.data)
    return inputs, outputs, partial(session.run_with_iobinding, binding)


def open_transform(model: bytes) -> Transform:
    """Open the compiled transformers of a pipeline.

    Args:
        model: The ONNX model's bytes.

    Returns:
        A function from inputs float64 [n, k] to columns float64 [n, columns].

    Raises:
        BrokenBundle: onnxruntime can't use the model.
    """
    session = open_onnx_session(model)
    return lambda matrix: np.asarray(session.run(None, {"inputs": matrix})[0])


def _get_output_shape(task: Task) -> tuple[int, ...]:
    """The shape of a model's raw output for one row."""
    return {"binary": (2,), "multiclass": (len(task.classes),), "regression": ()}[task.kind]


def _check_probe_outputs(bundle: Bundle) -> None:
    probe = np.load(io.BytesIO((bundle.path / "probe.npz").read_bytes()), allow_pickle=False)
    outputs, task = bundle.compute_outputs(probe["inputs"]), bundle.task
    columns = _get_output_shape(task)
    if outputs.shape[1:] != columns:
        raise BrokenBundle(f"{bundle.path}: its answers have the shape {outputs.shape}: expected {columns} for {task}")
    difference = float(np.abs(outputs - probe["outputs"]).max())
    if not difference <= PROBE_TOLERANCE:
        raise BrokenBundle(f"{bundle.path}: its answers differ from the fitted model's by {difference:.3g}")
