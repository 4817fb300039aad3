"""Where a model is good and where it isn't: scores by named slice, and slices that nobody had thought of."""

from collections.abc import Sequence

import numpy as np
import polars as pl


def members(rows: pl.DataFrame, columns: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Every slice "column=value", in the order of columns and values, and which rows it has: bool [slices, n]."""
    names, belongs = [], []
    for column in columns:
        for value in rows[column].drop_nulls().unique().sort():
            names.append(f"{column}={value}")
            belongs.append((rows[column] == value).fill_null(value=False).to_numpy())
    return names, np.array(belongs, dtype=bool).reshape(len(names), len(rows))


def days_of(belongs: np.ndarray, days: np.ndarray) -> np.ndarray:
    """How many days each slice [k, n] has rows on: int [k]."""
    return np.array([len(np.unique(days[rows])) for rows in belongs], dtype=int)
