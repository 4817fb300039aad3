"""The form in which a fitted model is served: compiled or archived, written, loaded again, compared and measured."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flows.steps.train.matrices import Matrices
from penumbra.patterns.class_padding import pad_missing_classes
from penumbra.registry.bundles import bundle, bundle_writing, serving_cost
from penumbra.training.attributions.attributions_file import build_attributions_file
from penumbra.training.evaluation.evaluate import UnsoundPredictions, predict_for_task
from penumbra.training.gate.gate_checks import ServingMeasurements
from penumbra.training.release import PARITY_TOLERANCE, ParityError, Release, build_release, find_optional_columns
from penumbra.training.split import pick_evenly_spaced

BACKGROUND_ROWS = 1000


def ship_model(fitted: Any, matrices: Matrices, rows: np.ndarray, folder: Path) -> ServingMeasurements:
    """Write the files of the served model, and measure what it costs to serve.

    Args:
        fitted: A fitted scikit-learn estimator.
        matrices: The matrices of the run.
        rows: Rows on which the served model is compared with the fitted one, float64 [m, k].
        folder: The folder of the bundle.

    Returns:
        The measurements.

    Raises:
        ParityError: If the served model answers otherwise than the fitted one.
        UnsoundPredictions: If the fitted model answers NaN or infinity for a row that may be asked.
        BrokenBundle: If the model can't be loaded where it is served.
        ValueError: If the fitted model refuses a row that may be asked.
    """
    release = write_shipped_model(fitted, matrices, rows, folder)
    if not np.isfinite(release.answers).all():
        raise UnsoundPredictions("it answers NaN or infinity for rows that a request may contain")
    return measure_serving_cost(release, folder, release.probe)


def write_shipped_model(fitted: Any, matrices: Matrices, rows: np.ndarray, folder: Path) -> Release:
    """Write the files of the served model, load them again, and compare.

    Args:
        fitted: A fitted scikit-learn estimator.
        matrices: The matrices of the run.
        rows: Rows on which the served model is compared with the fitted one, float64 [m, k].
        folder: The folder of the bundle.

    Returns:
        The model in the form in which it is served.

    Raises:
        ParityError: If the served model answers otherwise than the fitted one.
        BrokenBundle: If the model can't be loaded where it is served.
        ValueError: If the fitted model refuses a row that may be asked.
    """
    padded = pad_missing_classes(fitted, len(matrices.task.classes))
    features, row, inputs = matrices.problem.features, matrices.problem.schema.Row, matrices.arrays.read("inputs")
    optional = find_optional_columns(features.FEATURES, row, matrices.tables, inputs)
    release = build_release(padded, rows, matrices.columns["categorical"], matrices.task, optional)
    bundle_writing.write_model_files(folder, release.model, release.probe, release.answers)
    answers = _load_score_function(release, folder)(release.probe)
    if not np.allclose(answers, release.answers, rtol=0, atol=bundle.PROBE_TOLERANCE, equal_nan=True):
        raise ParityError(f"{type(fitted).__name__}, loaded again, answers otherwise than before")
    return release


def measure_serving_cost(release: Release, folder: Path, rows: np.ndarray) -> ServingMeasurements:
    """Measure what a model costs to serve.

    Args:
        release: The model in the form in which it is served.
        folder: The folder of the bundle, with the model's files.
        rows: Rows of the feature matrix to time it on, float64 [n, features].

    Returns:
        Median time of a row, size, and how far the compiled model is from the fitted one.
    """
    model: Any = bundle.open_onnx_session(release.model) if release.compiled else _load_score_function(release, folder)
    parity = release.parity if release.compiled else None
    microseconds = serving_cost.measure_single_row_us(model, rows)
    return ServingMeasurements(microseconds, len(release.model), parity, PARITY_TOLERANCE)


def write_attributions(fitted: Any, matrices: Matrices, rows: np.ndarray, folder: Path) -> None:
    """Write the file by which the served model's answers are explained.

    Args:
        fitted: A fitted scikit-learn estimator.
        matrices: The matrices of the run.
        rows: Rows that linear terms are explained against, and attributions are checked on, float64 [m, k].
        folder: The folder of the bundle, with the model's files.
    """
    padded = pad_missing_classes(fitted, len(matrices.task.classes))
    background = rows[pick_evenly_spaced(len(rows), BACKGROUND_ROWS)]
    with np.load(folder / bundle.PROBE_AND_REFERENCE_FILES[0]) as probe:
        awkward = probe["inputs"]
    predict = partial(predict_for_task, matrices.task, padded)
    content = build_attributions_file(padded, background, awkward, predict, bundle.open_transform)
    (folder / bundle.ATTRIBUTIONS_FILE).write_bytes(content)


def _load_score_function(release: Release, folder: Path) -> serving_cost.ScoreFunction:
    session, fitted = bundle.load_bundle_model(folder, [path.name for path in folder.iterdir()])
    if session is not None:
        return lambda rows: np.asarray(session.run(None, {"inputs": rows})[0])
    return fitted.predict if release.answers.ndim == 1 else fitted.predict_proba
