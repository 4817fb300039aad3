"""The release of a model: fitted on everything, compiled, and compared with itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dataframely as dy
import numpy as np

from penumbra.core.encoding import CategoryTables
from penumbra.core.task import Task
from penumbra.features import Feature
from penumbra.patterns.augmentation import Augmented
from penumbra.training.evaluation.evaluate import predict_for_task
from penumbra.training.onnx.compile import compile_model, measure_parity, predict_outputs
from penumbra.training.onnx.graph import CannotCompile
from penumbra.training.split import pick_evenly_spaced

PROBE_ROWS = 256
PARITY_TOLERANCE = 1e-9


class ParityError(RuntimeError):
    """Raised if the compiled model's outputs differ from the fitted model's."""


@dataclass(frozen=True)
class Release:
    """The model to ship.

    Args:
        model: Serialized ONNX model, or skops archive.
        probe: Rows to try it on, float64 [m, k].
        answers: The fitted model's outputs for them, float64 [m] or [m, classes].
        parity: The largest difference between compiled and fitted outputs.
        uncompiled: Why `model` is a skops archive; "" for ONNX.
    """

    model: bytes
    probe: np.ndarray
    answers: np.ndarray
    parity: float
    uncompiled: str = ""

    @property
    def compiled(self) -> bool:
        """Whether the model is ONNX."""
        return not self.uncompiled


def build_release(
    fitted: Any, check: np.ndarray, categorical: Sequence[int], task: Task, optional: Sequence[int] | None = None
) -> Release:
    """Compile a fitted estimator, and compare the two on rows and on some of them with gaps.

    Args:
        fitted: Fitted estimator.
        check: Rows to compare on, float64 [m, k].
        categorical: Positions of the categories in the matrix.
        task: The task.
        optional: Positions of the columns that may be missing; None for all of them.

    Returns:
        The release.

    Raises:
        ParityError: If compiled and fitted model differ by more than 1e-9.
        ValueError: If a class of the task was never seen.
    """
    probe = add_missing_values(check[pick_evenly_spaced(len(check), PROBE_ROWS)], categorical, optional)
    predict_for_task(task, fitted, probe)
    model, uncompiled = serialize_estimator(fitted, check.shape[1])
    difference = 0.0 if uncompiled else measure_parity(fitted, model, np.concatenate([check, probe]))
    if not difference <= PARITY_TOLERANCE:
        raise ParityError(f"compiled and fitted {type(fitted).__name__} differ by {difference:.3g}")
    return Release(model, probe, predict_outputs(fitted, probe), difference, uncompiled)


def serialize_estimator(estimator: Any, n_inputs: int) -> tuple[bytes, str]:
    """Serialize a fitted estimator, as ONNX if it can be compiled.

    Args:
        estimator: Fitted estimator.
        n_inputs: Number of columns that it was fitted on.

    Returns:
        ONNX and ""; or a skops archive and the reason why it can't be compiled.
    """
    try:
        return compile_model(estimator, n_inputs), ""
    except CannotCompile as reason:
        from skops.io import dumps

        while isinstance(estimator, Augmented):  # what it learnt from is no part of the model
            estimator = estimator.estimator_
        return dumps(estimator), str(reason)


def find_optional_columns(
    features: Sequence[Feature], row: type[dy.Schema], tables: CategoryTables, inputs: np.ndarray
) -> list[int]:
    """Find the columns of the matrix that may be missing, or have a category that training hasn't seen.

    Args:
        features: The features, in the order of the columns.
        row: The contract of a request.
        tables: The values of each category that training has seen.
        inputs: The training matrix, float64 [n, k].

    Returns:
        The positions, ascending: of features that read a column which may be null, of categories that may have values
        beside those of their table, and of columns that have gaps in `inputs`.
    """
    contract = row.columns()
    read = [[contract[name] for name in feature.columns if name in contract] for feature in features]
    return [
        position
        for position, (feature, columns) in enumerate(zip(features, read, strict=True))
        if any(column.nullable for column in columns)
        or np.isnan(inputs[:, position]).any()
        or (feature.categorical and not _has_seen_all_values(columns, tables[feature.name]))
    ]


def _has_seen_all_values(columns: Sequence[dy.Column], table: Mapping[str, int]) -> bool:
    """Whether the table of a category has every value that the contract allows in its column."""
    sizes = [len(column.categories) if isinstance(column, dy.Enum) else 2 for column in columns]
    return all(isinstance(column, dy.Enum | dy.Bool) for column in columns) and sizes == [len(table)]


def add_missing_values(
    rows: np.ndarray, categorical: Sequence[int], optional: Sequence[int] | None = None
) -> np.ndarray:
    """Append a copy of rows in which each optional column in turn is missing.

    Args:
        rows: float64 [n, k].
        categorical: Positions of the categories, in which -1 stands for missing, as NaN does in the others.
        optional: Positions of the columns that may be missing; None for all of them.

    Returns:
        float64 [2n, k]; the rows alone if no column may be missing.
    """
    emptied = np.arange(rows.shape[1]) if optional is None else np.array(optional, int)
    if not len(emptied):
        return rows
    harmed = np.array(rows)
    columns = emptied[np.arange(len(rows)) % len(emptied)]
    harmed[np.arange(len(rows)), columns] = np.where(np.isin(columns, categorical), -1, np.nan)
    return np.concatenate([rows, harmed])
