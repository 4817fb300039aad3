"""The model that is shipped: fitted on everything, compiled, and checked against itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.compile import compile_model, parity

PROBE_ROWS = 256
TOLERANCE = 1e-6


class CompiledDiffers(RuntimeError):
    """The compiled model doesn't give the fitted model's numbers."""


@dataclass(frozen=True)
class Release:
    """The compiled model, rows to try it on, what the fitted model says of them, and their largest difference."""

    model: bytes
    probe: np.ndarray
    answers: np.ndarray
    parity: float


def release(
    estimator: Any, inputs: np.ndarray, labels: np.ndarray, check: np.ndarray, categorical: Sequence[int]
) -> Release:
    """Fit on all rows (inputs [n, k], labels [n]) and compile; compare the two on the rows `check` [m, k].

    Raises CompiledDiffers where they differ by more than 1e-6.
    """
    estimator.fit(inputs, labels)
    model = compile_model(estimator, inputs.shape[1])
    probe = awkward(check[spread(len(check), PROBE_ROWS)], categorical)
    difference = parity(estimator, model, np.concatenate([check, probe]))
    if not difference <= TOLERANCE:
        raise CompiledDiffers(f"compiled and fitted {type(estimator).__name__} differ by {difference:.3g}")
    return Release(model, probe, estimator.predict_proba(probe), difference)


def awkward(rows: np.ndarray, categorical: Sequence[int]) -> np.ndarray:
    """Rows as they are, and again with each column in turn missing (NaN, or -1 for a category)."""
    harmed = np.array(rows)
    columns = np.arange(len(rows)) % rows.shape[1]
    harmed[np.arange(len(rows)), columns] = np.where(np.isin(columns, categorical), -1, np.nan)
    return np.concatenate([rows, harmed])


def spread(count: int, most: int) -> np.ndarray:
    """Up to `most` positions spread evenly over `count` rows."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
