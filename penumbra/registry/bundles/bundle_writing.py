"""Writing a bundle: model, probe and reference rows, then bundle.json, which makes a folder with them a bundle."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.contract.feature_specs import describe_features
from penumbra.core.encoding import CategoryTables
from penumbra.features import Feature
from penumbra.registry.bundles import skops_model
from penumbra.registry.bundles.bundle import (
    ATTRIBUTIONS_FILE,
    ONNX_FILE,
    OPTIONAL_FILES,
    PROBE_AND_REFERENCE_FILES,
    SKOPS_FILE,
    UNLABELLED_FILE,
)
from penumbra.registry.bundles.manifest import hash_bundle_file, write_manifest


def write_model_files(folder: Path, model: bytes, inputs: np.ndarray, outputs: np.ndarray) -> None:
    """Write the model and the probe, whose answers are compared whenever the bundle is loaded.

    Args:
        folder: The bundle's folder; it is created if missing. What is there of another model is removed.
        model: An ONNX model or a skops archive.
        inputs: float64 [n, k], rows for the probe.
        outputs: float64 [n] or [n, classes], the fitted model's outputs for `inputs`.

    Raises:
        BrokenBundle: A skops archive holds a type that `load_skops_model` doesn't trust, or skops isn't installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (ONNX_FILE, SKOPS_FILE, ATTRIBUTIONS_FILE):
        (folder / name).unlink(missing_ok=True)
    if skops_model.is_skops_archive(model):
        (folder / SKOPS_FILE).write_bytes(model)
        skops_model.load_skops_model(folder / SKOPS_FILE)
    else:
        (folder / ONNX_FILE).write_bytes(model)
    np.savez(folder / "probe.npz", inputs=inputs, outputs=outputs)


def write_reference_rows(folder: Path, reference: pl.DataFrame, unlabelled: pl.DataFrame | None = None) -> None:
    """Write the reference rows of a bundle.

    Args:
        folder: The bundle's folder; it is created if missing. What is there of another reference is removed.
        reference: Held-out rows: the contract's columns, `penumbra.batch`, `penumbra.label` and `penumbra.prediction`.
        unlabelled: Rows of the same days without an outcome, with the same columns; None for none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reference.write_parquet(folder / "reference.parquet")
    (folder / UNLABELLED_FILE).unlink(missing_ok=True)
    if unlabelled is not None:
        unlabelled.write_parquet(folder / UNLABELLED_FILE)


def seal_bundle(folder: Path, facts: Mapping[str, Any], features: Sequence[Feature], tables: CategoryTables) -> None:
    """Write bundle.json, which makes a folder with model, probe and reference rows a bundle.

    Args:
        folder: The folder, with the files of `write_model_files` and `write_reference_rows`.
        facts: What is recorded of the model, such as "threshold", "metrics" and "candidate"; values that JSON doesn't
            have become text. "task" is that of the contract; a bundle without it is of a binary task. "contract" is
            what `describe_contract` gives.
        features: The model's features, in the order of the matrix's columns.
        tables: The category tables of the encoder.

    Raises:
        BrokenBundle: One of the files can't be read.
        UnportableFeature: A feature has code that no bundle may carry.
    """
    model = SKOPS_FILE if (folder / SKOPS_FILE).exists() else ONNX_FILE
    optional = [name for name in OPTIONAL_FILES if (folder / name).exists()]
    sums = {name: hash_bundle_file(folder / name) for name in (model, *PROBE_AND_REFERENCE_FILES, *optional)}
    contents = {"inputs": describe_features(features), "tables": tables, "sha256": sums}
    write_manifest(folder, json.loads(json.dumps({**facts, **contents}, default=str)))
