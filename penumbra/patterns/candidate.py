"""A candidate: how to make an estimator, and what is special about the way it learns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl


class Columns(Protocol):
    """The columns of the matrix, by position.

    Numbers are float64 with NaN for missing; categories are codes from 0, and -1 for missing or never seen.
    """

    @property
    def names(self) -> list[str]:
        """The names of all columns."""

    @property
    def categorical(self) -> list[int]:
        """The positions of the categories."""

    @property
    def numeric(self) -> list[int]:
        """The positions of the numbers."""


@dataclass(frozen=True)
class Candidate:
    """An entry of the experiments.

    Args:
        make: Makes an unfitted scikit-learn estimator for the matrix's columns.
        learns: The expression that `fit` is given as y, if that isn't the target (reframing).
        window: Number of latest batches to learn from; None for all of them.
        search: Draws parameters for the estimator's `set_params` from an Optuna trial; None without a search.
        trials: Number of trials of the search.
    """

    make: Callable[[Columns], Any]
    learns: pl.Expr | None = None
    window: int | None = None
    search: Callable[[Any], Mapping[str, Any]] | None = None
    trials: int = 16
