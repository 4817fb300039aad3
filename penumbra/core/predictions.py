"""Predictions as arrays: float64 [n], or [n, classes]; see penumbra/core/task.py."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # whoever explains a prediction loads no frames
    from penumbra.core.task import Task


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


def is_of_another_task(task: "Task", output: Any, decision: Any = None) -> bool:
    """Tell whether an answer was given while the task was another one, as it is where `target()` has changed since.

    Args:
        task: The task.
        output: A number, or a list of the probabilities of classes; None where there is none.
        decision: What was decided; None where it isn't known.

    Returns:
        Whether it was, as far as the answer shows: a number looks the same whether it is a probability or not.
    """
    if isinstance(output, list):
        return len(output) != len(task.classes) or decision not in (None, *task.classes)
    return output is not None and task.kind == "multiclass"
