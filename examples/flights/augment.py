"""Altered copies of rows to learn from: what may well be measured, or missing, without changing the outcome."""

import numpy as np

from penumbra.patterns import Columns

JITTER = {"temp": 2.0, "dewp": 2.0, "humid": 4.0, "wind_speed": 2.0, "pressure": 0.5}  # standard deviations
SENSORS = [*JITTER, "wind_dir", "precip", "visib"]
OUTAGE = 0.2  # the share of rows that lose all readings


def augment(matrix: np.ndarray, columns: Columns, rng: np.random.Generator) -> np.ndarray:
    """Weather measured a little differently, and in some rows not at all: float64 [n, k], as it came."""
    for name, deviation in JITTER.items():
        matrix[:, columns.names.index(name)] += rng.normal(0, deviation, len(matrix))
    return outage(matrix, columns, rng, OUTAGE)


def outage(matrix: np.ndarray, columns: Columns, rng: np.random.Generator, share: float) -> np.ndarray:
    """All weather missing in about this share of the rows."""
    out = rng.random(len(matrix)) < share
    for name in SENSORS:
        matrix[out, columns.names.index(name)] = np.nan
    return matrix
