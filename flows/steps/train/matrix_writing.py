"""Writing the matrices of a training run, as its first step does it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.steps.train import plan
from flows.steps.train.matrices import (
    DAYS_ARRAY,
    LIVE_ARRAY,
    TRAINING_SET_ARTIFACT,
    WEIGHTS_ARRAY,
    WITHHELD_ARRAY,
    Matrices,
)
from penumbra.core.columns import BATCH_COLUMN, LABEL_COLUMN, WEIGHT_COLUMN
from penumbra.core.metrics.losses import build_judged_task
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.errors import USER_ERRORS
from penumbra.data.failure_set import FailureSet
from penumbra.storage.arrays import ArrayStore
from penumbra.training.evaluation.evaluate import TrialJob
from penumbra.training.fit import accepts_live_predictions, build_matrix, compute_fit_weights, extract_labels
from penumbra.training.rejection import describe_failure
from penumbra.training.split import mask_matching_rows

MAX_WITHHELD_ROWS = 2000


def write_matrices(
    settings: Settings,
    problem: Problem,
    batches: Sequence[str],
    folder: Path,
    recorded_context: Path | None = None,
    with_live: bool = True,
) -> Matrices:
    """Write the matrices of some batches, with what trials depend on beside data, code and settings.

    Args:
        settings: Those that the rows, the set of failures and the live model's predictions are read by,
            `promotion.loss` and `uncertainty.method`.
        problem: The problem, with every part.
        batches: Names of admitted batches; their rows are written in this order.
        folder: Where the arrays are written.
        recorded_context: The folder "lesson" that was kept with a run, to take the withheld rows and the live model's
            predictions from; None to take them as they are now.
        with_live: Whether to write the live model's predictions now, for which the candidates are made, and
            scikit-learn imported; else that is left to `write_live_predictions`.

    Returns:
        The matrices.
    """
    rows = plan.read_training_rows(settings, problem, batches)
    return write_row_matrices(settings, problem, rows, folder, recorded_context, with_live)


def write_row_matrices(
    settings: Settings,
    problem: Problem,
    rows: pl.DataFrame,
    folder: Path,
    recorded_context: Path | None = None,
    with_live: bool = True,
) -> Matrices:
    """Write the matrices of rows that were read, as `write_matrices` does.

    Args:
        settings: As in `write_matrices`.
        problem: As in `write_matrices`.
        rows: What `plan.read_training_rows` returns.
        folder: As in `write_matrices`.
        recorded_context: As in `write_matrices`.
        with_live: As in `write_matrices`.

    Returns:
        The matrices.
    """
    task = build_judged_task(problem.schema, settings.promotion.loss)
    inputs, encoding = build_matrix(rows, problem.features.FEATURES)
    arrays = ArrayStore(folder, dict(rows.group_by(BATCH_COLUMN, maintain_order=True).len().iter_rows()))
    arrays.write("inputs", inputs)
    arrays.write("labels", extract_labels(rows[LABEL_COLUMN], task))
    weights = compute_fit_weights(rows[BATCH_COLUMN], rows[WEIGHT_COLUMN])
    if (weights != 1).any():
        arrays.write(WEIGHTS_ARRAY, weights)
    if settings.uncertainty.method == "cross":
        arrays.write(DAYS_ARRAY, rows.select(problem.slices.DAY.rank("dense")).to_series().to_numpy())
    faults = _write_learnt_labels(problem, rows, arrays)
    columns: dict[str, list[Any]] = {
        "names": encoding.names,
        "categorical": encoding.categorical,
        "numeric": encoding.numeric,
    }
    matrices = Matrices(arrays, columns, encoding.tables, task, problem, faults)
    if recorded_context:
        for path in recorded_context.glob("*.npy"):
            arrays.write(f"{TRAINING_SET_ARTIFACT}/{path.stem}", np.load(path))
        return matrices
    failures = FailureSet(settings.training.failures, problem.schema.Row).read(MAX_WITHHELD_ROWS)
    arrays.write(WITHHELD_ARRAY, mask_matching_rows(rows, failures, problem.schema.Row.primary_key()))
    if with_live:
        write_live_predictions(settings, matrices, rows)
    return matrices


def write_live_predictions(settings: Settings, matrices: Matrices, rows: pl.DataFrame | None = None) -> None:
    """Write the live model's predictions beside the matrices, where there is one and a candidate takes them.

    Args:
        settings: Those that the matrices were written with.
        matrices: The matrices.
        rows: The rows that they were made of; None to read them again.
    """
    if not any(_takes_live_predictions(matrices, name) for name in settings.training.candidates):
        return
    from flows.steps.train import live_model  # loads the log and ONNX's runtime

    problem, batches = matrices.problem, list(matrices.arrays.sizes)
    given = plan.read_training_rows(settings, problem, batches) if rows is None else rows
    live = live_model.collect_live_predictions(settings, problem, given)
    if live is not None:
        matrices.arrays.write(LIVE_ARRAY, live)


def _write_learnt_labels(problem: Problem, rows: pl.DataFrame, arrays: ArrayStore) -> dict[str, str]:
    """Write what candidates learn in place of the target; by candidate why it can't be computed."""
    faults = {}
    for name, recipe in problem.candidates.CANDIDATES.items():
        if recipe.learns is None:
            continue
        try:
            arrays.write(f"learns-{name}", rows.select(recipe.learns.cast(pl.Float64)).to_series().to_numpy())
        except pl.exceptions.PolarsError as error:
            faults[name] = f"`learns` gives no numbers: {describe_failure(error)}"
    return faults


def _takes_live_predictions(matrices: Matrices, name: str) -> bool:
    try:
        return accepts_live_predictions(matrices.make_estimator(TrialJob(name)))
    except USER_ERRORS:  # a candidate that can't be made is left out, see `screening`
        return False
