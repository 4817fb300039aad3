"""From validated rows to the matrix that estimators learn from."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from inputs import Inputs, learn_tables
from kinds import Kind


def with_outcome(rows: pl.DataFrame, target: pl.Expr) -> pl.DataFrame:
    """The rows that have a label, with the label as column "label"; cancelled flights, say, have none."""
    return rows.with_columns(target.alias("label")).filter(pl.col("label").is_not_null())


def matrices(rows: pl.DataFrame, kinds: Sequence[Kind]) -> tuple[np.ndarray, np.ndarray, Inputs]:
    """Inputs float64 [n, k] and labels [n] of labelled rows, and the encoding with the tables learnt from them."""
    features = rows["inputs"].struct.unnest()
    encoding = Inputs(tuple(kinds), learn_tables(kinds, features))
    return encoding.matrix(features), rows["label"].to_numpy(), encoding
