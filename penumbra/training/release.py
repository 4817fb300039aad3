"""The model that is shipped: fitted on everything, compiled, and checked against itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from penumbra.core.task import Task
from penumbra.patterns.augmentation import Augmented
from penumbra.training.evaluate import predict_for_task
from penumbra.training.fit import TrainingSet, fit_estimator
from penumbra.training.onnx.compile import compile_model, measure_parity, predict_outputs
from penumbra.training.onnx.graph import CannotCompile

PROBE_ROWS = 256
PARITY_TOLERANCE = 1e-9


class ParityError(RuntimeError):
    """The compiled model doesn't give the fitted model's numbers."""


@dataclass(frozen=True)
class Release:
    """The model to ship, rows to try it on, what the fitted model says of them, and their largest difference.

    `uncompiled` says why `model` is a skops archive instead of ONNX; "" where it is ONNX.
    """

    model: bytes
    probe: np.ndarray
    answers: np.ndarray
    parity: float
    uncompiled: str = ""

    @property
    def compiled(self) -> bool:
        return not self.uncompiled


def fit_release(
    estimator: Any, lesson: TrainingSet, check: np.ndarray, categorical: Sequence[int], task: Task
) -> Release:
    """Fit on all rows of the lesson, then `ship`."""
    fit_estimator(estimator, lesson)
    return build_release(estimator, check, categorical, task)


def build_release(fitted: Any, check: np.ndarray, categorical: Sequence[int], task: Task) -> Release:
    """Compile; compare the two on the rows `check` [m, k], and on some of them with gaps.

    Raises CompiledDiffers where they differ by more than 1e-9, and ValueError where a class of the task was never seen.
    """
    probe = add_missing_values(check[pick_evenly_spaced(len(check), PROBE_ROWS)], categorical)
    predict_for_task(task, fitted, probe)
    model, uncompiled = serialize_estimator(fitted, check.shape[1])
    difference = 0.0 if uncompiled else measure_parity(fitted, model, np.concatenate([check, probe]))
    if not difference <= PARITY_TOLERANCE:
        raise ParityError(f"compiled and fitted {type(fitted).__name__} differ by {difference:.3g}")
    return Release(model, probe, predict_outputs(fitted, probe), difference, uncompiled)


def serialize_estimator(estimator: Any, n_inputs: int) -> tuple[bytes, str]:
    """A fitted estimator as ONNX and "", or as a skops archive and why it can't be compiled."""
    try:
        return compile_model(estimator, n_inputs), ""
    except CannotCompile as reason:
        from skops.io import dumps

        while isinstance(estimator, Augmented):  # what it learnt from is no part of the model
            estimator = estimator.estimator_
        return dumps(estimator), str(reason)


def add_missing_values(rows: np.ndarray, categorical: Sequence[int]) -> np.ndarray:
    """Rows as they are, and again with each column in turn missing (NaN, or -1 for a category)."""
    harmed = np.array(rows)
    columns = np.arange(len(rows)) % rows.shape[1]
    harmed[np.arange(len(rows)), columns] = np.where(np.isin(columns, categorical), -1, np.nan)
    return np.concatenate([rows, harmed])


def pick_evenly_spaced(count: int, most: int) -> np.ndarray:
    """Up to `most` positions spread evenly over `count` rows."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
