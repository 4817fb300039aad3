"""Histograms of rows, computed once: every later question, of a day or of a year, is answered from these counts.

A column of numbers has bins at the quantiles of the model's own reference, a column of categories one for each word of
its vocabulary and one for all others; the last bin of either is for nulls. The counts of all columns stand one after
the other in a single vector, so that profiles are added, stacked and compared as arrays.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from penumbra.core.bins import (
    assign_category_bins,
    assign_number_bins,
    cast_countable,
    compute_quantile_edges,
    list_top_categories,
)
from penumbra.core.columns import PREDICTION_COLUMN

MISSING_CATEGORY = "(missing)"  # the slice of the rows that have no value of a category

if TYPE_CHECKING:  # importing it takes half a second, which readers of windows don't need
    from penumbra.features import Feature


def list_profiled_columns(kinds: "Sequence[Feature]", time: str) -> list[str]:
    """List the columns of a row that features read.

    Args:
        kinds: The features.
        time: The column of the row's time, which is left out: any later month has other dates than the reference, which
            is no drift.

    Returns:
        Names in the order in which they are first read.
    """
    read = dict.fromkeys(name for kind in kinds for name in kind.columns)
    return [name for name in read if name != time]


@dataclass(frozen=True)
class Binning:
    """The bins of each column. Plain JSON (`msgspec.json.decode(…, type=Binning)`).

    Args:
        edges: Of each column of numbers the edges, ascending: bin i has what is above edge i - 1 and not above edge i.
        words: Of each column of categories the vocabulary, in alphabetical order.
    """

    edges: dict[str, list[float]]
    words: dict[str, list[str]]

    @classmethod
    def learn(cls, reference: pl.DataFrame, columns: Sequence[str]) -> "Binning":
        """Learn the bins from a model's reference.

        Args:
            reference: Rows with these columns, of numbers, Booleans, text or Enum, and `penumbra.prediction`:
                Float64, or Array(Float64, classes), of which the most probable class is taken.
            columns: Names of the columns to profile. One of another type is left out.

        Returns:
            The binning.
        """
        countable = cast_countable(reference, [*columns, PREDICTION_COLUMN])
        edges = {
            name: compute_quantile_edges(countable[name])
            for name in countable.columns
            if countable.schema[name] == pl.Float64
        }
        words = {name: list_top_categories(countable[name]) for name in countable.columns if name not in edges}
        return cls(edges, words)

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Where the counts of each column are in a profile."""
        sizes = {name: len(edges) + 2 for name, edges in self.edges.items()}
        sizes |= {name: len(words) + 2 for name, words in self.words.items()}
        ends = np.cumsum([0, *sizes.values()]).tolist()
        return {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(sizes)}

    def select(self, names: Collection[str]) -> "Binning":
        """Return the binning of the columns `names` alone, in the order that they have here."""
        edges = {name: each for name, each in self.edges.items() if name in names}
        return Binning(edges, {name: each for name, each in self.words.items() if name in names})

    @property
    def starts(self) -> list[int]:
        """The first bin of each column, int, ascending."""
        return [span.start for span in self.columns.values()]

    @property
    def size(self) -> int:
        """The number of bins of all columns."""
        return max((span.stop for span in self.columns.values()), default=0)


@dataclass(frozen=True, eq=False)
class Profile:
    """The counts of some rows.

    Args:
        rows: Number of rows.
        counts: int64 [size of the binning].
    """

    rows: int
    counts: np.ndarray

    def __add__(self, other: "Profile") -> "Profile":
        return Profile(self.rows + other.rows, self.counts + other.counts)


GroupSum = tuple[str, str, str, float, int]
"""Column, group, metric, the sum of what the group's rows add to the metric, and the number of these rows."""


@dataclass(frozen=True, eq=False)
class OutcomeSums:
    """The outcomes of some rows, as sums that can be added.

    Args:
        rows: Rows that can have a label.
        due: Those of them whose label is due.
        arrived: Due labels that have arrived.
        labels: Labelled rows that count.
        loss: Sum of their losses.
        squares: Sum of their squared losses.
        counts: Their number by bin, as in a profile, int64 [size of the binning].
        losses: Sum of their losses by bin, float64 [size of the binning].
        scores: By bin of scores, float64 [3, bins]: number of rows, sum of scores, how often the predicted outcome
            happened.
        clipped: Labelled rows that count whose loss is the ceiling.
        groups: The sums of the sensitive columns' groups; a metric of a group may stand in several.
        covered: Labelled rows that count whose prediction set or interval holds the truth.
    """

    rows: int
    due: int
    arrived: int
    labels: int
    loss: float
    squares: float
    counts: np.ndarray
    losses: np.ndarray
    scores: np.ndarray
    clipped: int = 0
    groups: list[GroupSum] = field(default_factory=list)
    covered: int = 0

    def __add__(self, other: "OutcomeSums") -> "OutcomeSums":
        return OutcomeSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True)
class DegradedSlice:
    """A slice on which a model's loss is higher than on the same rows of its reference.

    Args:
        column: The column.
        value: Its value on these rows, a word or "(missing)".
        labels: Number of labels.
        mean: Mean loss.
        low: Lower limit of its band.
        high: Upper limit of its band.
        reference: Mean loss on the reference.
    """

    column: str
    value: str
    labels: int
    mean: float
    low: float
    high: float
    reference: float


def compute_daily_profiles(rows: pl.DataFrame, binning: Binning, time: str) -> dict[dt.date, Profile]:
    """Compute a profile for each day (UTC).

    Args:
        rows: Rows with the columns of the binning and `time`.
        binning: The bins.
        time: Name of a column of Datetime or Date.

    Returns:
        The profiles by day, oldest first.
    """
    day_index, days = _index_days(rows, time)
    (counts,) = _sum_by_group(rows, binning, day_index, len(days), None)
    sizes = np.bincount(day_index, minlength=len(days)).tolist()
    return {day: Profile(sizes[i], counts[i]) for i, day in enumerate(days)}


def select_profile_columns(
    profiles: Mapping[dt.date, Profile], binning: Binning, names: Collection[str]
) -> dict[dt.date, Profile]:
    """Select some columns of profiles.

    Args:
        profiles: Profiles by day.
        binning: Their bins.
        names: Names of columns.

    Returns:
        By day the profiles with the bins of `binning.select(names)`.
    """
    wanted = [np.arange(span.start, span.stop) for name, span in binning.columns.items() if name in names]
    bins = np.concatenate([np.zeros(0, int), *wanted])
    return {day: Profile(each.rows, each.counts[bins]) for day, each in profiles.items()}


def sum_losses_by_day(
    rows: pl.DataFrame, binning: Binning, time: str, losses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum rows and losses by day and bin.

    Args:
        rows: Rows with the columns of the binning and `time`.
        binning: The bins.
        time: Name of a column of Datetime or Date.
        losses: The loss of each row, float64 [n].

    Returns:
        Numbers of rows, int64 [days, size of the binning], and sums of losses, float64 of the same shape; oldest day
        first.
    """
    day_index, days = _index_days(rows, time)
    counts, sums = _sum_by_group(rows, binning, day_index, len(days), None, losses)
    return counts, sums


def assign_row_bins(rows: pl.DataFrame, binning: Binning) -> np.ndarray:
    """Assign each row's values to their bins.

    Args:
        rows: Rows with the columns of the binning.
        binning: The bins.

    Returns:
        The place of the bin of each column in a profile, int64 [rows, columns of the binning].
    """
    plain, found = _cast_to_binning(rows, binning), np.zeros((rows.height, len(binning.columns)), np.int64)
    for number, (name, span) in enumerate(binning.columns.items()):
        bins = _assign_bins(plain[name], binning, name)
        found[:, number] = np.where(bins > 0, span.start + bins - 1, span.stop - 1)
    return found


def _index_days(rows: pl.DataFrame, time: str) -> tuple[np.ndarray, pl.Series]:
    """Find the days of rows, ascending, and for each row the position of its day, int64 [rows]."""
    dates = rows[time].cast(pl.Date)
    days = dates.unique().sort()
    return np.searchsorted(days.to_physical().to_numpy(), dates.to_physical().to_numpy()), days


def _sum_by_group(
    rows: pl.DataFrame, binning: Binning, groups: np.ndarray, n: int, *weights: np.ndarray | None
) -> list[np.ndarray]:
    """Sum by group and bin, for each of the weights float64 [n, size], or the number of rows, int64, for None; `groups`
    int64 [rows] says which of the `n` groups each row is in.
    """
    plain = _cast_to_binning(rows, binning)
    totals = [np.zeros((n, binning.size), np.int64 if weight is None else float) for weight in weights]
    for name, span in binning.columns.items():
        width = span.stop - span.start + 1
        cells = groups * width + _assign_bins(plain[name], binning, name)
        for weight, sums in zip(weights, totals, strict=True):
            added = np.bincount(cells, weight, n * width).reshape(n, width)
            sums[:, span] = added[:, 1:]
            sums[:, span.stop - 1] += added[:, 0]
    return totals


def _cast_to_binning(rows: pl.DataFrame, binning: Binning) -> pl.DataFrame:
    """Cast the binning's columns to numbers or text; null where that is impossible."""
    plain = cast_countable(rows, list(binning.columns))
    plain = plain.with_columns(pl.lit(None).alias(name) for name in binning.columns if name not in plain.columns)
    numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in binning.edges]
    return plain.select(*numbers, *(pl.col(name).cast(pl.String) for name in binning.words))


def _assign_bins(values: pl.Series, binning: Binning, name: str) -> np.ndarray:
    """Assign the values of a column to its bins, from 1: int64 [rows]. A null is in the last one or in 0."""
    if name in binning.words:
        return assign_category_bins(values, binning.words[name])
    return assign_number_bins(values, binning.edges[name])
