"""Folds of whole days in the order of time, as rows of a day, and days that follow each other, have much in common."""

import numpy as np

FOLDS = 3


def assign_day_folds(days: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Assign rows to folds, each of which is a stretch of days.

    Args:
        days: Each row's day, [n] of anything that sorts.
        folds: Number of folds; there are fewer where there are fewer days.

    Returns:
        The fold of each row, int64 [n], from 0, the earliest days.
    """
    named, at = np.unique(days, return_inverse=True)
    return np.asarray(at * min(folds, len(named)) // len(named))
