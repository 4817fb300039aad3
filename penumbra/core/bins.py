"""Bins of single columns: what can be counted, where the edges are, and in which bin each value is."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from penumbra.core.columns import PREDICTION_COLUMN

PROFILE_BINS = 64
MAX_CATEGORIES = 256
COUNTABLE_CASTS = {
    "number": lambda name: pl.col(name).cast(pl.Float64),
    "word": lambda name: pl.col(name).cast(pl.String),
    "classes": lambda name: pl.col(name).cast(pl.List(pl.Float64)).list.arg_max().cast(pl.String),
}


def cast_countable(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Select the columns that can be counted.

    Args:
        rows: Rows with these columns.
        columns: Names of the columns.

    Returns:
        Numbers as Float64; text, Enum and Booleans as String; of probabilities of classes (`penumbra.prediction`) the
        position of the likeliest as String. A column of another type is left out.
    """
    kinds = {name: _classify_dtype(rows.schema[name]) for name in columns}
    if PREDICTION_COLUMN in kinds and isinstance(rows.schema[PREDICTION_COLUMN], pl.Array | pl.List):
        kinds[PREDICTION_COLUMN] = "classes"
    return rows.select(COUNTABLE_CASTS[kind](name) for name, kind in kinds.items() if kind)


def is_countable_dtype(dtype: pl.DataType) -> bool:
    """Tell whether single values of a column can be counted in bins.

    Args:
        dtype: The column's dtype.

    Returns:
        True for numbers, text, Enum and Boolean.
    """
    return _classify_dtype(dtype) != ""


def is_word_dtype(dtype: pl.DataType) -> bool:
    """Tell whether the values of a column are words.

    Args:
        dtype: The column's dtype.

    Returns:
        True for text, Enum and Boolean.
    """
    return _classify_dtype(dtype) == "word"


def _classify_dtype(dtype: pl.DataType) -> str:
    if dtype.is_numeric():
        return "number"
    return "word" if dtype in (pl.String, pl.Enum, pl.Categorical, pl.Boolean) else ""


def compute_quantile_edges(values: pl.Series) -> list[float]:
    """Compute the edges between bins at quantiles.

    Args:
        values: Float64 [n].

    Returns:
        63 edges in ascending order, or fewer where values repeat themselves.
    """
    known = values.filter(values.is_finite()).to_numpy()
    if not len(known):
        return []
    inner = np.linspace(0, 1, PROFILE_BINS + 1)[1:-1]
    return np.unique(np.quantile(known, inner, method="inverted_cdf")).tolist()


def list_top_categories(values: pl.Series, most: int = MAX_CATEGORIES) -> list[str]:
    """List the most frequent categories; of equally frequent ones those first in the alphabet.

    Args:
        values: String [n].
        most: How many there are at most.

    Returns:
        The categories, in alphabetical order.
    """
    counted = values.drop_nulls().value_counts(name="penumbra.count")
    frequent = counted.sort("penumbra.count", values.name, descending=[True, False])
    return sorted(frequent[values.name].head(most).to_list())


def assign_number_bins(values: pl.Series, edges: Sequence[float]) -> np.ndarray:
    """Assign numbers to bins.

    Args:
        values: Float64 [n].
        edges: The edges between bins, ascending.

    Returns:
        The bin of each value, from 1: int64 [n]. A null is in the last one.
    """
    bounds = np.array([-np.inf, *edges, np.finfo(float).max])
    return np.searchsorted(bounds, values.to_numpy(), side="left")  # a null is NaN, which comes after all numbers


def assign_category_bins(values: pl.Series, words: list[str]) -> np.ndarray:
    """Assign categories to bins, one for each word and one for all others.

    Args:
        values: String [n].
        words: The vocabulary.

    Returns:
        The bin of each value, from 1: int64 [n]. A null is in bin 0.
    """
    known = values.cast(pl.Enum(words), strict=False).to_physical().cast(pl.Int64)
    codes = (known + 1).fill_null(len(words) + 1)
    return codes.set(values.is_null(), 0).to_numpy() if values.null_count() else codes.to_numpy()
