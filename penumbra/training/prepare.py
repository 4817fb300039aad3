"""From validated rows to the matrix that estimators learn from."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from penumbra.core.encoding import FeatureEncoder, learn_category_tables
from penumbra.core.task import Task
from penumbra.features import Feature


def select_labelled_rows(rows: pl.DataFrame, target: pl.Expr) -> pl.DataFrame:
    """The rows that have a label, with the label as column "label"; cancelled flights, say, have none."""
    return rows.with_columns(target.alias("label")).filter(pl.col("label").is_not_null())


def build_matrix(rows: pl.DataFrame, kinds: Sequence[Feature]) -> tuple[np.ndarray, FeatureEncoder]:
    """Inputs float64 [n, k] of rows from the data store, and the encoding with the tables learnt from them."""
    features = rows["inputs"].struct.unnest()
    encoding = FeatureEncoder(tuple(kinds), learn_category_tables(kinds, features))
    return encoding.encode_frame(features), encoding


def extract_labels(rows: pl.DataFrame, task: Task) -> np.ndarray:
    """The column "label" as the task's labels (see penumbra/core/task.py)."""
    dtypes: dict[str, type[pl.DataType]] = {"binary": pl.Boolean, "multiclass": pl.Int64, "regression": pl.Float64}
    return rows["label"].to_physical().cast(dtypes[task.kind]).to_numpy()
