"""An experiment: how to make an estimator, and what is special about the way it learns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl


class Columns(Protocol):
    """The matrix's columns: their names, and the positions of categories and numbers.

    Numbers are float64 with NaN for missing; categories are codes from 0, and -1 for missing or never seen.
    """

    names: list[str]
    categorical: list[int]
    numeric: list[int]


@dataclass(frozen=True)
class Candidate:
    """One entry of the experiments. `make` returns an unfitted scikit-learn estimator.

    `learns`: what `fit` is given as y where that isn't the target (reframing).
    `window`: learn from the last so many batches only; None for all of them.
    `search`: Optuna's trial -> parameters for the estimator's `set_params`; `trials` how many to try.
    """

    make: Callable[[Columns], Any]
    learns: pl.Expr | None = None
    window: int | None = None
    search: Callable[[Any], Mapping[str, Any]] | None = None
    trials: int = 16
