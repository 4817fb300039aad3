"""Rows to counts, once: all that is asked later, of a day or of a year, is asked of these.

A column of numbers has bins at the quantiles of the model's own reference, a column of categories one for each word of
its vocabulary and one for all others; the last bin of either is for nulls. The counts of all columns stand one after
the other in a single vector, so that profiles are added, stacked and compared as arrays.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from kinds import Kind

BINS = 64
WORDS = 256
PREDICTION = "prediction"


def watched(kinds: Sequence[Kind], time: str) -> list[str]:
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
        found = _plain(reference, [*columns, PREDICTION])
        edges = {name: _edges(found[name]) for name in found.columns if found.schema[name] == pl.Float64}
        return cls(edges, {name: _words(found[name]) for name in found.columns if name not in edges})

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Where the counts of each column are in a profile."""
        sizes = {name: len(edges) + 2 for name, edges in self.edges.items()}
        sizes |= {name: len(words) + 2 for name, words in self.words.items()}
        ends = np.cumsum([0, *sizes.values()]).tolist()
        return {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(sizes)}

    @property
    def size(self) -> int:
        return max((place.stop for place in self.columns.values()), default=0)


@dataclass(frozen=True, eq=False)
class Profile:
    """`counts`: int64 [size of the binning]. `low`, `high` and `total` of each column of numbers, in the order of the
    binning's `edges`: float64 [k], infinite where there is no number."""

    rows: int
    counts: np.ndarray
    low: np.ndarray
    high: np.ndarray
    total: np.ndarray

    @classmethod
    def empty(cls, binning: Binning) -> "Profile":
        k = len(binning.edges)
        return cls(0, np.zeros(binning.size, np.int64), np.full(k, np.inf), np.full(k, -np.inf), np.zeros(k))

    def __add__(self, other: "Profile") -> "Profile":
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Profile(self.rows + other.rows, self.counts + other.counts, low, high, self.total + other.total)


def summarise(rows: pl.DataFrame, binning: Binning) -> Profile:
    """The profile of rows with the binning's columns."""
    if not rows.height:
        return Profile.empty(binning)
    return _grouped(rows, binning, np.zeros(rows.height, np.int64), 1)[0]


def by_day(rows: pl.DataFrame, binning: Binning, time: str) -> dict[dt.date, Profile]:
    """A profile for each day (UTC) of the column `time` (Datetime or Date), oldest first."""
    days, groups = np.unique(rows[time].cast(pl.Date).to_physical().to_numpy(), return_inverse=True)
    names = pl.Series(days).cast(pl.Date).to_list()
    return dict(zip(names, _grouped(rows, binning, groups, len(days)), strict=True))


def shares(profile: Profile, binning: Binning) -> dict[str, np.ndarray]:
    """Of each column the share of rows in each bin: float64, NaN where there are no rows."""
    with np.errstate(invalid="ignore"):
        return {name: profile.counts[place] / np.int64(profile.rows) for name, place in binning.columns.items()}


def _grouped(rows: pl.DataFrame, binning: Binning, groups: np.ndarray, n: int) -> list[Profile]:
    """The profiles of `n` groups; `groups` int64 [rows] says which each row is of."""
    plain = _as_learnt(rows, binning)
    counts = np.zeros((n, binning.size), np.int64)
    for name, place in binning.columns.items():
        width = place.stop - place.start
        codes = _codes(plain[name], binning, name)
        counts[:, place] = np.bincount(groups * width + codes, minlength=n * width).reshape(n, width)
    low, high, total = _extremes(plain.select(list(binning.edges)), groups, n)
    sizes = np.bincount(groups, minlength=n).tolist()
    return [Profile(sizes[g], counts[g], low[g], high[g], total[g]) for g in range(n)]


def _as_learnt(rows: pl.DataFrame, binning: Binning) -> pl.DataFrame:
    """The binning's columns as numbers or text, whatever they are now; null where they can't be."""
    plain = _plain(rows, list(binning.columns))
    plain = plain.with_columns(pl.lit(None).alias(name) for name in binning.columns if name not in plain.columns)
    numbers = [_finite(pl.col(name).cast(pl.Float64, strict=False)) for name in binning.edges]
    return plain.select(*numbers, *(pl.col(name).cast(pl.String) for name in binning.words))


def _codes(values: pl.Series, binning: Binning, name: str) -> np.ndarray:
    """The bin of each value: int64 [rows]."""
    if name in binning.words:
        words = binning.words[name]
        codes = pl.Series(range(len(words)), dtype=pl.Int64)
        found = values.replace_strict(pl.Series(words, dtype=pl.String), codes, default=len(words))
        return found.set(values.is_null(), len(words) + 1).to_numpy() if values.null_count() else found.to_numpy()
    edges = binning.edges[name]
    numbers = values.to_numpy()  # a null is NaN
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="left"))


def _extremes(numbers: pl.DataFrame, groups: np.ndarray, n: int) -> list[np.ndarray]:
    """Of each group and column: float64 [n, k] each."""
    if not (names := numbers.columns):
        return [np.zeros((n, 0))] * 3
    every = (
        numbers.with_columns(pl.Series("", groups))
        .group_by("")
        .agg(
            *(pl.col(name).min().fill_null(np.inf).alias(f"low {name}") for name in names),
            *(pl.col(name).max().fill_null(-np.inf).alias(f"high {name}") for name in names),
            *(pl.col(name).sum().alias(f"total {name}") for name in names),
        )
    )
    found = every.sort("").drop("").to_numpy().reshape(n, 3, len(names))
    return [found[:, i] for i in range(3)]


def _plain(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Those of the columns that can be counted, as finite Float64, or String."""
    kinds = {name: _kind(rows.schema[name]) for name in columns}
    return rows.select(_PLAIN[kind](name) for name, kind in kinds.items() if kind)


def _kind(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Array | pl.List):
        return "classes"
    if dtype.is_numeric():
        return "number"
    return "word" if dtype in (pl.String, pl.Enum, pl.Categorical, pl.Boolean) else ""


def _finite(numbers: pl.Expr) -> pl.Expr:
    return pl.when(numbers.is_finite()).then(numbers)


_PLAIN = {
    "number": lambda name: _finite(pl.col(name).cast(pl.Float64)),
    "word": lambda name: pl.col(name).cast(pl.String),
    "classes": lambda name: pl.col(name).cast(pl.List(pl.Float64)).list.arg_max().cast(pl.String),
}


def _edges(values: pl.Series) -> list[float]:
    """Quantiles, fewer than 63 where values repeat themselves."""
    known = values.drop_nulls().to_numpy()
    if not len(known):
        return []
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    return np.unique(np.quantile(known, inner, method="inverted_cdf")).tolist()


def _words(values: pl.Series) -> list[str]:
    counted = values.drop_nulls().value_counts(sort=True)
    return sorted(counted[values.name].head(WORDS).to_list())
