"""Rows to counts, once: all that is asked later, of a day or of a year, is asked of these.

A column of numbers has bins at the quantiles of the model's own reference, a column of categories one for each word of
its vocabulary and one for all others; the last bin of either is for nulls. The counts of all columns stand one after
the other in a single vector, so that profiles are added, stacked and compared as arrays.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:  # importing it takes half a second, which readers of windows don't need
    from penumbra.features import Feature

PROFILE_BINS = 64
MAX_CATEGORIES = 256
PREDICTION_COLUMN = "prediction"


def list_profiled_columns(kinds: "Sequence[Feature]", time: str) -> list[str]:
    """The columns of a row that some feature reads, but its `time`: any later month has other dates than the
    reference, which is no drift."""
    read = dict.fromkeys(name for kind in kinds for name in kind.expr().meta.root_names())
    return [name for name in read if name != time]


@dataclass(frozen=True)
class Binning:
    """`edges` of each column of numbers, ascending: bin i has what is above edge i - 1 and not above edge i. `words` of
    each column of categories, in alphabetical order. Plain JSON (`msgspec.json.decode(…, type=Binning)`)."""

    edges: dict[str, list[float]]
    words: dict[str, list[str]]

    @classmethod
    def learn(cls, reference: pl.DataFrame, columns: Sequence[str]) -> "Binning":
        """From rows with these columns, of numbers, Booleans, text or Enum, and the column "prediction": Float64, or
        Array(Float64, classes), of which the most probable class is taken. A column of another type is left out."""
        found = _cast_countable(reference, [*columns, PREDICTION_COLUMN])
        edges = {name: _compute_edges(found[name]) for name in found.columns if found.schema[name] == pl.Float64}
        return cls(edges, {name: _top_categories(found[name]) for name in found.columns if name not in edges})

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Where the counts of each column are in a profile."""
        sizes = {name: len(edges) + 2 for name, edges in self.edges.items()}
        sizes |= {name: len(words) + 2 for name, words in self.words.items()}
        ends = np.cumsum([0, *sizes.values()]).tolist()
        return {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(sizes)}

    @property
    def starts(self) -> list[int]:
        """The first bin of each column."""
        return [place.start for place in self.columns.values()]

    @property
    def size(self) -> int:
        return max((place.stop for place in self.columns.values()), default=0)


@dataclass(frozen=True, eq=False)
class Profile:
    """`counts`: int64 [size of the binning]."""

    rows: int
    counts: np.ndarray

    def __add__(self, other: "Profile") -> "Profile":
        return Profile(self.rows + other.rows, self.counts + other.counts)


@dataclass(frozen=True, eq=False)
class OutcomeSums:
    """What came of rows, as sums: `rows` that can have a label, labels that are `due`, those of them that have
    `arrived`, and the loss that was `guessed` before (NaN: unknown). Of the labelled rows that count: how many
    `labels`, their `loss` and its `squares`; by bin, as in a profile, int64 `counts` and float64 `losses` [size of the
    binning]; by score `scores`, float64 [3, bins]: rows, what was said, what happened.
    """

    rows: int
    due: int
    arrived: int
    guessed: float
    labels: int
    loss: float
    squares: float
    counts: np.ndarray
    losses: np.ndarray
    scores: np.ndarray

    def __add__(self, other: "OutcomeSums") -> "OutcomeSums":
        return OutcomeSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True)
class DegradedSlice:
    """The rows with this `value` in `column`, a word or "(missing)", on which a model loses more than on the same rows
    of its reference: how many labels, the mean of their losses with its band, and what it was on the `reference`."""

    column: str
    value: str
    labels: int
    mean: float
    low: float
    high: float
    reference: float


def compute_daily_profiles(rows: pl.DataFrame, binning: Binning, time: str) -> dict[dt.date, Profile]:
    """A profile for each day (UTC) of the column `time` (Datetime or Date), oldest first."""
    days, each = _index_days(rows, time)
    (counts,) = _sum_by_group(rows, binning, days, len(each), None)
    sizes = np.bincount(days, minlength=len(each)).tolist()
    return {day: Profile(sizes[at], counts[at]) for at, day in enumerate(each)}


def sum_losses_by_day(
    rows: pl.DataFrame, binning: Binning, time: str, losses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By day, oldest first, and bin: how many rows, int64 [days, size of the binning], and the sum of their losses,
    float64 of the same shape. `losses`: float64 [rows]."""
    days, each = _index_days(rows, time)
    counts, sums = _sum_by_group(rows, binning, days, len(each), None, losses)
    return counts, sums


def _index_days(rows: pl.DataFrame, time: str) -> tuple[np.ndarray, pl.Series]:
    """Which one of the days each row is of, int64 [rows], and the days."""
    days = rows[time].cast(pl.Date)
    each = days.unique().sort()
    return np.searchsorted(each.to_physical().to_numpy(), days.to_physical().to_numpy()), each


def _sum_by_group(
    rows: pl.DataFrame, binning: Binning, groups: np.ndarray, n: int, *weights: np.ndarray | None
) -> list[np.ndarray]:
    """By group and bin, for each of the weights their sum, float64 [n, size], or for None the number of rows, int64;
    `groups` int64 [rows] says which of the `n` each row is of."""
    plain = _cast_to_binning(rows, binning)
    found = [np.zeros((n, binning.size), np.int64 if each is None else float) for each in weights]
    for name, place in binning.columns.items():
        width = place.stop - place.start + 1
        at = groups * width + _assign_bins(plain[name], binning, name)
        for each, sums in zip(weights, found, strict=True):
            added = np.bincount(at, each, n * width).reshape(n, width)
            sums[:, place] = added[:, 1:]
            sums[:, place.stop - 1] += added[:, 0]
    return found


def _cast_to_binning(rows: pl.DataFrame, binning: Binning) -> pl.DataFrame:
    """The binning's columns as numbers or text, whatever they are now; null where they can't be."""
    plain = _cast_countable(rows, list(binning.columns))
    plain = plain.with_columns(pl.lit(None).alias(name) for name in binning.columns if name not in plain.columns)
    numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in binning.edges]
    return plain.select(*numbers, *(pl.col(name).cast(pl.String) for name in binning.words))


def _assign_bins(values: pl.Series, binning: Binning, name: str) -> np.ndarray:
    """The bin of each value, from 1: int64 [rows]. A null is in the last one or in 0."""
    if name in binning.words:
        return _assign_category_bins(values, binning.words[name])
    bounds = np.array([-np.inf, *binning.edges[name], np.finfo(float).max])
    return np.searchsorted(bounds, values.to_numpy(), side="left")  # a null is NaN, which comes after all numbers


def _assign_category_bins(values: pl.Series, words: list[str]) -> np.ndarray:
    known = values.cast(pl.Enum(words), strict=False).to_physical().cast(pl.Int64)
    codes = (known + 1).fill_null(len(words) + 1)
    return codes.set(values.is_null(), 0).to_numpy() if values.null_count() else codes.to_numpy()


def _cast_countable(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Those of the columns that can be counted, as Float64 or String."""
    kinds = {name: _countable_kind(rows.schema[name]) for name in columns}
    return rows.select(_COUNTABLE_CASTS[kind](name) for name, kind in kinds.items() if kind)


def _countable_kind(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Array | pl.List):
        return "classes"
    if dtype.is_numeric():
        return "number"
    return "word" if dtype in (pl.String, pl.Enum, pl.Categorical, pl.Boolean) else ""


_COUNTABLE_CASTS = {
    "number": lambda name: pl.col(name).cast(pl.Float64),
    "word": lambda name: pl.col(name).cast(pl.String),
    "classes": lambda name: pl.col(name).cast(pl.List(pl.Float64)).list.arg_max().cast(pl.String),
}


def _compute_edges(values: pl.Series) -> list[float]:
    """Quantiles, fewer than 63 where values repeat themselves."""
    known = values.filter(values.is_finite()).to_numpy()
    if not len(known):
        return []
    inner = np.linspace(0, 1, PROFILE_BINS + 1)[1:-1]
    return np.unique(np.quantile(known, inner, method="inverted_cdf")).tolist()


def _top_categories(values: pl.Series) -> list[str]:
    counted = values.drop_nulls().value_counts(sort=True)
    return sorted(counted[values.name].head(MAX_CATEGORIES).to_list())
