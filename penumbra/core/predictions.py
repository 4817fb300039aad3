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


def compute_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute how far two models' predictions of each row are apart.

    Args:
        first: float64 [n] or [n, classes], NaN where there is none.
        second: Likewise.

    Returns:
        float64 [n]: the absolute difference of two numbers; of two distributions half the sum of absolute differences,
        which is the total variation distance.
    """
    apart = np.abs(first - second)
    return apart if apart.ndim == 1 else np.asarray(apart.sum(axis=1) / 2)
