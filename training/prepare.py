"""From validated rows to the matrix that estimators learn from."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from inputs import Inputs, learn_tables
from kinds import Kind
from task import Task


def with_outcome(rows: pl.DataFrame, target: pl.Expr) -> pl.DataFrame:
    """The rows that have a label, with the label as column "label"; cancelled flights, say, have none."""
    return rows.with_columns(target.alias("label")).filter(pl.col("label").is_not_null())


def matrices(rows: pl.DataFrame, kinds: Sequence[Kind]) -> tuple[np.ndarray, Inputs]:
    """Inputs float64 [n, k] of rows from the data store, and the encoding with the tables learnt from them."""
    features = rows["inputs"].struct.unnest()
    encoding = Inputs(tuple(kinds), learn_tables(kinds, features))
    return encoding.matrix(features), encoding


def labels_of(rows: pl.DataFrame, task: Task) -> np.ndarray:
    """The column "label" as the task's labels (see task.py)."""
    dtypes: dict[str, type[pl.DataType]] = {"binary": pl.Boolean, "multiclass": pl.Int64, "regression": pl.Float64}
    return rows["label"].to_physical().cast(dtypes[task.kind]).to_numpy()
