"""Building blocks of experiments, for `problem/candidates.py`: `from penumbra.patterns import Candidate, Cascade, …`.

The estimators are imported when they are first used, so that listing the experiments doesn't import scikit-learn.
"""

import importlib
from typing import TYPE_CHECKING, Any

from penumbra.patterns.candidate import Candidate, Columns

if TYPE_CHECKING:
    from penumbra.patterns.augmentation import Augmented
    from penumbra.patterns.cascade import Cascade
    from penumbra.patterns.hard_negatives import HardNegatives
    from penumbra.patterns.reframing import Reframed

__all__ = ["Augmented", "Candidate", "Cascade", "Columns", "HardNegatives", "Reframed"]

ESTIMATOR_MODULES = {
    "Augmented": "augmentation",
    "Cascade": "cascade",
    "HardNegatives": "hard_negatives",
    "Reframed": "reframing",
}


def __getattr__(name: str) -> Any:
    if name not in ESTIMATOR_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{ESTIMATOR_MODULES[name]}"), name)
