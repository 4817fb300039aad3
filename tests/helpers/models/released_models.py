"""Models that are fitted and compiled in one go."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from penumbra.core.task import Task
from penumbra.training.fit import TrainingSet, fit_estimator
from penumbra.training.release import Release, build_release


def fit_release(
    estimator: Any, training: TrainingSet, check: np.ndarray, categorical: Sequence[int], task: Task
) -> Release:
    """Fit an estimator on some rows, and build its release, which is compared with it on others."""
    fit_estimator(estimator, training)
    return build_release(estimator, check, categorical, task)
