"""What an estimator is fitted on: labelled rows, input matrix, training set; and what its model keeps of them."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.columns import INPUTS_COLUMN, LABEL_COLUMN
from penumbra.core.encoding import CategoryTables, FeatureEncoder, learn_category_tables
from penumbra.core.metrics.loss_names import read_quantile_level
from penumbra.core.metrics.losses import get_primary_metric
from penumbra.core.task import Task
from penumbra.features import Feature
from penumbra.patterns.weighting import fit_weighted, select_weights

LABEL_DTYPES: dict[str, type[pl.DataType]] = {
    "binary": pl.Boolean,
    "multiclass": pl.Int64,
    "regression": pl.Float64,
}

MAX_WEIGHT_RATIO = 20.0  # of a row's weight to the mean of its batch


@dataclass(frozen=True)
class TrainingSet:
    """The rows to fit on, oldest first.

    Args:
        inputs: float64 [n, k].
        y: The labels [n], or what a candidate learns in their place.
        live: float64 [n], the live model's out-of-sample predictions, NaN where unknown; None without any.
        weights: float64 [n], how much each row counts; None for 1 each.
    """

    inputs: np.ndarray
    y: np.ndarray
    live: np.ndarray | None = None
    weights: np.ndarray | None = None

    def select_rows(self, rows: Any) -> "TrainingSet":
        """Select some of the rows.

        Args:
            rows: Their positions, a slice, or a mask bool [n].

        Returns:
            Those rows as a training set.
        """
        live = None if self.live is None else self.live[rows]
        return TrainingSet(self.inputs[rows], self.y[rows], live, select_weights(self.weights, rows))


def accepts_live_predictions(estimator: Any) -> bool:
    """Tell whether the estimator's `fit` has a parameter `live` for the live model's predictions.

    Args:
        estimator: scikit-learn estimator.

    Returns:
        True if it has.
    """
    return "live" in inspect.signature(estimator.fit).parameters


def fit_estimator(estimator: Any, training: TrainingSet) -> None:
    """Fit an estimator in place, with the live model's predictions where it takes them and they are known.

    Weights that are all 1 are left out (see `penumbra.patterns.weighting.fit_weighted`).

    Args:
        estimator: Unfitted scikit-learn estimator.
        training: The rows to fit on.

    Raises:
        WeightsRefused: Rows have weights other than 1, and the estimator takes none.
    """
    has_live = training.live is not None and accepts_live_predictions(estimator)
    more = {"live": training.live} if has_live else {}
    fit_weighted(estimator, training.inputs, training.y, training.weights, **more)


def select_labelled_rows(rows: pl.DataFrame, target: pl.Expr) -> pl.DataFrame:
    """Select the rows that have a label, see `add_labels`.

    Args:
        rows: Rows with the columns that `target` reads.
        target: The label of each row.

    Returns:
        These rows, with the additional column `penumbra.label`.
    """
    return add_labels(rows, target).filter(pl.col(LABEL_COLUMN).is_not_null())


def add_labels(rows: pl.DataFrame, target: pl.Expr) -> pl.DataFrame:
    """Add the label of each row; what was cancelled, say, has none, and NaN or infinity is none.

    Args:
        rows: Rows with the columns that `target` reads.
        target: The label of each row.

    Returns:
        The rows with the additional column `penumbra.label`, null where there is none.
    """
    labelled = rows.with_columns(target.alias(LABEL_COLUMN))
    if not labelled.schema[LABEL_COLUMN].is_float():
        return labelled
    return labelled.with_columns(pl.when(pl.col(LABEL_COLUMN).is_finite()).then(LABEL_COLUMN))


def build_matrix(rows: pl.DataFrame, kinds: Sequence[Feature]) -> tuple[np.ndarray, FeatureEncoder]:
    """Learn the category tables of rows, and encode the rows with them.

    Args:
        rows: Rows of the data store, with the features in the struct column `penumbra.inputs`.
        kinds: The features.

    Returns:
        The input matrix, float64 [n, k], and the encoder with the tables.
    """
    features = rows[INPUTS_COLUMN].struct.unnest()
    encoder = FeatureEncoder(tuple(kinds), learn_category_tables(kinds, features))
    return encoder.encode_frame(features), encoder


def compute_fit_weights(batches: pl.Series, counts: pl.Series) -> np.ndarray:
    """Compute how much each row counts in a fit.

    Within a batch the weights are to each other as the numbers of rows that the rows stand for, but none is more than
    `MAX_WEIGHT_RATIO` times their mean: one row in thousands would otherwise decide, at the price of a bias towards the
    rows that were likelier to be labelled. Their mean is 1, so a batch counts by the rows that it has, not by those
    that they stand for.

    Args:
        batches: The batch of each row, String [n].
        counts: How many rows it stands for, Float64 [n], above 0.

    Returns:
        float64 [n]; exactly 1 where all rows of a batch stand for equally many.

    Source:
        Horvitz & Thompson, "A generalization of sampling without replacement from a finite universe", JASA 47, 1952;
        Potter, "A study of procedures to identify and trim extreme sampling weights", 1990.
    """
    frame = pl.DataFrame({"batch": batches, "count": counts})
    caps = {batch: _compute_cap(of_batch["count"].to_numpy()) for (batch,), of_batch in frame.group_by("batch")}
    capped = frame.with_columns(
        pl.min_horizontal("count", pl.col("batch").replace_strict(caps, return_dtype=pl.Float64))
    )
    count, is_equal = pl.col("count"), pl.col("count").n_unique().over("batch") == 1
    weights = pl.when(is_equal).then(1.0).otherwise(count / count.mean().over("batch"))
    return capped.select(weights).to_series().to_numpy()


def _compute_cap(counts: np.ndarray) -> float:
    """The greatest cap that is at most `MAX_WEIGHT_RATIO` times the mean of the counts [n] with the cap in force.

    With the k largest counts capped it is the others' sum / (n / ratio - k); k is as small as can be.
    """
    ordered, size = np.sort(counts), len(counts)
    largest = np.arange(math.ceil(size / MAX_WEIGHT_RATIO))  # with one more, none could be above the cap
    others = np.cumsum(ordered)[size - 1 - largest]
    caps = others / (size / MAX_WEIGHT_RATIO - largest)
    return float(caps[np.argmax(caps >= ordered[size - 1 - largest])])


def extract_labels(targets: pl.Series, task: Task) -> np.ndarray:
    """Convert values of the target to the task's labels.

    Args:
        targets: The target of n rows, without nulls.
        task: The task, see penumbra/core/task.py.

    Returns:
        bool, int64 (class codes) or float64 [n], by kind of task.
    """
    return targets.to_physical().cast(LABEL_DTYPES[task.kind]).to_numpy()


def compute_baseline(task: Task, labels: np.ndarray, weights: np.ndarray | None = None) -> float | list[float]:
    """Compute the prediction for one row that looks at no record.

    Args:
        task: The task, with the loss that it is the best constant by.
        labels: The labels [n].
        weights: How much each counts, float64 [n]; 1 by default.

    Returns:
        The rate of True, or the share of each class; of numbers the mean, by absolute error the median, by a quantile
        loss the quantile.
    """
    if task.kind == "multiclass":
        counts = np.bincount(labels, weights, len(task.classes))
        return (counts / (len(labels) if weights is None else weights.sum())).tolist()
    loss = get_primary_metric(task)
    level = 0.5 if loss == "absolute_error" else read_quantile_level(loss)
    if level is None:
        return float(np.average(labels, weights=weights))
    if weights is None:
        return float(np.quantile(labels, level))
    return float(np.quantile(labels, level, method="inverted_cdf", weights=weights))  # numpy weighs by no other


def count_category_values(
    inputs: np.ndarray, columns: Sequence[int], tables: CategoryTables
) -> dict[str, dict[str, int]]:
    """Count how many rows have each value of each category.

    Args:
        inputs: The input matrix, float64 [n, k], with category codes, -1 for missing.
        columns: The positions of the categories in it, in the order of `tables`.
        tables: The code of each value of each category.

    Returns:
        The number of rows by category and value.
    """
    return {
        name: _count_codes(inputs[:, position], codes)
        for position, (name, codes) in zip(columns, tables.items(), strict=True)
    }


def _count_codes(column: np.ndarray, codes: Mapping[str, int]) -> dict[str, int]:
    counts = np.bincount(column[column >= 0].astype(int), minlength=len(codes))
    return {value: int(counts[code]) for value, code in codes.items()}
