"""Predictions as arrays: float64 [n], or [n, classes]; see penumbra/core/task.py."""

import numpy as np


def find_finite_rows(predictions: np.ndarray) -> np.ndarray:
    """Find the rows all of whose predicted numbers are finite.

    Args:
        predictions: float64 [n] or [n, classes].

    Returns:
        Whether each row's are, bool [n].
    """
    is_finite = np.isfinite(predictions)
    return is_finite if is_finite.ndim == 1 else np.asarray(is_finite.all(axis=1))
