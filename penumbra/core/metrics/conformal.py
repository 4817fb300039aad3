"""Conformal prediction: the set of classes, or the interval, that holds the truth in a chosen share of the cases.

How far the truth was from the predictions of rows that a model hasn't learnt from says how far it may be from the next
one. Of n + 1 rows that could stand in any order, the last one's score is at most the ⌈(n + 1) · coverage⌉-th smallest
of the others with at least that probability, whatever the model and the data are like; where n is too small for that,
nothing is ruled out. Rows are taken in strata, each with a limit of its own, so that the promise holds in each: classes
by the true class (a rare class is covered as often as the others), numbers by bins of the prediction (large numbers
mostly have large errors).

Source:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005 (split and Mondrian conformal
    prediction); Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", JASA
    114, 2019 (the score of classes: 1 less the probability of the true one).
"""

from collections.abc import Collection
from fractions import Fraction
from itertools import compress
from math import ceil
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penumbra.core.predictions import find_finite_rows
from penumbra.core.text.json_values import replace_non_finite

if TYPE_CHECKING:  # importing them takes half a second, which `penumbra explain` doesn't need
    import polars as pl

    from penumbra.core.task import Task

NUMBER_BINS, MIN_BIN_ROWS = 10, 50  # of predicted numbers
UNLEARNT_LIMIT = -1.0  # below any score
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class ConformalLimits(msgspec.Struct, frozen=True):
    """How far the truth is from a model's predictions, at most, in a share of the cases.

    Attributes:
        coverage: The share of the cases, in each stratum.
        method: How the rows that it was measured on were predicted: "split" or "cross".
        rows: Their number.
        classes: The classes in the order of the task; of a binary one False and True, of numbers none.
        limits: The largest score of each class, or of each bin of predicted numbers; None where there are too few rows
            to rule anything out, `UNLEARNT_LIMIT` of a class that the model hasn't learnt, which is in no set.
        edges: Between the bins, ascending, each the highest prediction of its bin; empty for classes.
    """

    coverage: float
    method: str
    rows: int
    classes: list[bool | str]
    limits: list[float | None]
    edges: list[float] = []

    @classmethod
    def calibrate(
        cls,
        task: "Task",
        labels: NDArray[Any],
        predictions: FloatArray,
        coverage: float,
        method: str = "split",
        has_strata: bool = True,
        learnt: Collection[int] | None = None,
    ) -> "ConformalLimits":
        """Measure the limits.

        Args:
            task: The task, see penumbra/core/task.py.
            labels: The labels [n], in the task's shape, of rows that the model hasn't learnt from.
            predictions: Its predictions, float64 [n] or [n, classes].
            coverage: The share of the cases that the truth is to be within, from 0 to 1, both excluded.
            method: The name of how they were predicted.
            has_strata: Whether each class, or bin of numbers, has a limit of its own; otherwise all rows have the same.
            learnt: The positions of the classes in the rows that the model has learnt from; None for all.

        Returns:
            The limits.
        """
        classes: list[bool | str] = [] if task.kind == "regression" else [*(task.classes or (False, True))]
        if classes:
            doubts, strata, edges = _compute_doubts(predictions), np.asarray(labels, int), np.empty(0)
            scores, count = doubts[np.arange(len(strata)), strata], len(classes)
        else:
            edges = _find_bin_edges(predictions) if has_strata else np.empty(0)
            strata, count = np.searchsorted(edges, predictions), len(edges) + 1
            scores = np.abs(labels - predictions)
        groups = [scores[strata == stratum] if has_strata else scores for stratum in range(count)]
        limits = [
            compute_conformal_limit(group, coverage) if learnt is None or stratum in learnt else UNLEARNT_LIMIT
            for stratum, group in enumerate(groups)
        ]
        return cls(coverage, method, len(labels), classes, limits, edges.tolist())

    def find_members(self, predictions: FloatArray) -> BoolArray:
        """Find the classes that can't be ruled out.

        Args:
            predictions: Of classes, float64 [n] or [n, classes].

        Returns:
            Whether each class can't be, bool [n, classes], of two classes False and True; none in a row that is unlike
            those of every class.
        """
        return _compute_doubts(predictions) <= self._list_limits()

    def find_sets(self, predictions: FloatArray) -> BoolArray:
        """Find the prediction sets: the classes that can't be ruled out, and always the most probable one.

        Args:
            predictions: Of classes, float64 [n] or [n, classes].

        Returns:
            Whether each class is in the set, bool [n, classes].
        """
        members = self.find_members(predictions)
        likeliest = _compute_doubts(predictions).argmin(axis=1)
        members[np.arange(len(members)), likeliest] = True
        return members

    def find_ambiguous(self, predictions: FloatArray) -> BoolArray:
        """Find the rows of which several classes, or none, can hold the truth.

        A class without a limit is in every set, so it counts only where it is the most probable one.

        Args:
            predictions: Of classes, float64 [n] or [n, classes].

        Returns:
            Whether each row is one, bool [n].
        """
        doubts = _compute_doubts(predictions)
        is_likeliest = doubts == doubts.min(axis=1, keepdims=True)
        counts = np.isfinite(self._list_limits()) | is_likeliest
        return np.asarray((self.find_members(predictions) & counts).sum(axis=1) != 1)

    def compute_intervals(self, predictions: FloatArray) -> FloatArray:
        """Compute the prediction intervals of numbers.

        Args:
            predictions: float64 [n].

        Returns:
            The ends of each, float64 [n, 2], which belong to it; infinite where nothing can be ruled out.
        """
        reach = self._find_reach(predictions)
        return np.column_stack([predictions - reach, predictions + reach])

    def find_widest(self, predictions: FloatArray) -> BoolArray:
        """Return whether the interval of each number in `predictions` (float64 [n]) is the widest: bool [n]."""
        limits = self._list_limits()
        return (len(limits) > 1) & (self._find_reach(predictions) == limits.max())

    def find_covered(self, labels: NDArray[Any], predictions: FloatArray) -> BoolArray:
        """Find the rows whose set, or interval, holds the truth.

        Args:
            labels: The labels [n], in the task's shape.
            predictions: float64 [n] or [n, classes].

        Returns:
            Whether each does, bool [n].
        """
        if not self.classes:
            return np.abs(labels - predictions) <= self._find_reach(predictions)
        return self.find_sets(predictions)[np.arange(len(labels)), np.asarray(labels, int)]

    def _find_reach(self, predictions: FloatArray) -> FloatArray:
        return self._list_limits()[np.searchsorted(self.edges, predictions)]

    def _list_limits(self) -> FloatArray:
        return np.array([np.inf if limit is None else limit for limit in self.limits])


def compute_conformal_limit(scores: FloatArray, coverage: float) -> float | None:
    """Compute the limit that the next score doesn't exceed with a probability of at least `coverage`.

    Args:
        scores: How far the truth was from the prediction in each of n exchangeable rows, float64 [n].
        coverage: The probability, taken as the decimal that it is written as: 0.9 is nine tenths.

    Returns:
        The ⌈(n + 1) · coverage⌉-th smallest score; None where n is smaller than that.
    """
    rank = ceil((len(scores) + 1) * Fraction(str(coverage)))
    return None if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])


def compute_uncertainty(limits: ConformalLimits, predictions: FloatArray) -> "pl.DataFrame":
    """Compute prediction sets or intervals as columns beside the predictions.

    Args:
        limits: The limits of the model version that has predicted.
        predictions: float64 [n] or [n, classes]; NaN where the model wasn't asked.

    Returns:
        A row for each prediction, in their order: whether each class is in the set (`penumbra.set.<class>`, Boolean; of
        two classes `penumbra.set.false` and `penumbra.set.true`), or `penumbra.low` and `penumbra.high` (Float64, the
        ends of the interval, which belong to it; infinite where nothing can be ruled out). Null where there is no
        prediction.
    """
    import polars as pl

    from penumbra.core.columns import HIGH_COLUMN, LOW_COLUMN, name_member_column

    if limits.classes:
        names = [name_member_column(str(each).lower() if isinstance(each, bool) else each) for each in limits.classes]
        columns = pl.DataFrame(limits.find_sets(predictions), schema=names)
    else:
        columns = pl.DataFrame(limits.compute_intervals(predictions), schema=[LOW_COLUMN, HIGH_COLUMN])
    return columns.with_columns(pl.when(pl.Series(find_finite_rows(predictions))).then(pl.all()))


def describe_uncertainty(limits: ConformalLimits, predictions: FloatArray) -> list[dict[str, Any]]:
    """Describe prediction sets or intervals for answers: what `compute_uncertainty` computes, in types of JSON.

    Args:
        limits: The limits of the model version that has predicted.
        predictions: float64 [n] or [n, classes], without NaN.

    Returns:
        For each prediction the "coverage" that is promised, and "set", the classes in the task's order (of two classes
        False and True), or "interval", its two ends, None for an end that isn't bounded.
    """
    if not limits.classes:
        intervals = replace_non_finite(limits.compute_intervals(predictions).tolist())
        return [{"coverage": limits.coverage, "interval": ends} for ends in intervals]
    sets = limits.find_sets(predictions).tolist()
    return [{"coverage": limits.coverage, "set": [*compress(limits.classes, members)]} for members in sets]


def _compute_doubts(predictions: FloatArray) -> FloatArray:
    """Compute the score of each class, 1 less its probability: float64 [n, classes]; of two classes for False first."""
    return np.column_stack([predictions, 1 - predictions]) if predictions.ndim == 1 else 1 - predictions


def _find_bin_edges(predictions: FloatArray) -> FloatArray:
    """Find predictions between which lie bins of about equally many rows; the last bin has no upper edge.

    Equal predictions are in one bin; what they leave of another, if it is too little, is joined with the next one.
    """
    bins = min(NUMBER_BINS, len(predictions) // MIN_BIN_ROWS)
    if bins < 2:
        return np.empty(0)
    edges = np.unique(np.quantile(predictions, np.arange(1, bins) / bins, method="inverted_cdf"))
    kept, begin = [], 0
    for edge, end in zip(edges, np.searchsorted(np.sort(predictions), edges, side="right"), strict=True):
        if min(end - begin, len(predictions) - end) >= MIN_BIN_ROWS:
            kept.append(edge)
            begin = end
    return np.array(kept)
