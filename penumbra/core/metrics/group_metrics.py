"""Metrics by group of a sensitive column, named and defined as in fairlearn, as sums that add up over days and parts.

|            | metrics of a group (means over its rows)                                                       |
|------------|------------------------------------------------------------------------------------------------|
| binary     | `selection_rate`; of the rows with the label True `true_positive_rate`, of the others          |
|            | `false_positive_rate`; `accuracy`, `loss`                                                      |
| multiclass | `accuracy`, `loss`                                                                             |
| regression | `mean_prediction`, `mean_error` (prediction less label), `mean_absolute_error`, `loss`         |

Source:
    Hardt, Price & Srebro, "Equality of opportunity in supervised learning", 2016; Agarwal et al., "A reductions
    approach to fair classification", 2018; the names are those of fairlearn.metrics.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from penumbra.core.columns import DAY_COLUMN
from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.problem import ProblemSchema, list_sensitive_columns
from penumbra.core.task import Task, TaskKind

ODDS = ("true_positive_rate", "false_positive_rate")
# By kind of task: the comparison of groups that the gate judges.
JUDGED_COMPARISONS: Mapping[TaskKind, str] = {
    "binary": "equalized_odds",
    "multiclass": "accuracy",
    "regression": "mean_error",
}
# By kind of task: each comparison of groups, with the metrics whose largest difference it is.
GROUP_COMPARISONS: Mapping[TaskKind, Mapping[str, Sequence[str]]] = {
    "binary": {
        "demographic_parity": ("selection_rate",),
        "equal_opportunity": ("true_positive_rate",),
        "equalized_odds": ODDS,
        "accuracy": ("accuracy",),
    },
    "multiclass": {"accuracy": ("accuracy",)},
    "regression": {name: (name,) for name in ("mean_prediction", "mean_error", "mean_absolute_error")},
}
GROUP_SUM_SCHEMA = {
    "column": pl.String,
    "group": pl.String,
    "metric": pl.String,
    DAY_COLUMN: pl.Date,
    "sum": pl.Float64,
    "rows": pl.Int64,
}


def select_groups(schema: ProblemSchema, rows: pl.DataFrame) -> pl.DataFrame:
    """Select the group of each row by each sensitive column.

    Args:
        schema: The problem's schema, with `SENSITIVE`.
        rows: Rows with the columns of `Row` that it reads, as training or the logs have them: what isn't of the
            contract's dtype is cast to it, null where that is impossible; null, too, where a column is missing.

    Returns:
        A String column for each entry of `SENSITIVE`, null where the group isn't known; [n] rows.
    """
    wanted = schema.Row.create_empty().schema
    columns = [
        pl.col(name).cast(wanted[name], strict=False)
        if name in rows.columns
        else pl.lit(None, wanted[name]).alias(name)
        for name in list_sensitive_columns(schema)
    ]
    groups = [each.alias(name) for name, each in schema.SENSITIVE.items()]
    return rows.with_columns(columns).select(groups)


def compute_group_values(
    task: Task, labels: np.ndarray, predictions: np.ndarray, threshold: float
) -> dict[str, np.ndarray]:
    """Compute what each row adds to the metrics of its group.

    Args:
        task: The task, with its loss.
        labels: The labels [n].
        predictions: The predictions, float64 [n] or [n, classes].
        threshold: The lowest probability for which a binary task decides for True; not used by other tasks.

    Returns:
        By metric float64 [n], NaN where the row doesn't count: the metric is the mean of the others.
    """
    loss = {"loss": compute_row_losses(task, labels, predictions)}
    if task.kind == "regression":
        error = predictions - labels
        return {"mean_prediction": predictions, "mean_error": error, "mean_absolute_error": np.abs(error)} | loss
    if task.kind == "multiclass":
        return {"accuracy": (predictions.argmax(axis=1) == labels).astype(float)} | loss
    decided, is_true = (predictions >= threshold).astype(float), labels.astype(bool)
    return {
        "selection_rate": decided,
        "true_positive_rate": np.where(is_true, decided, np.nan),
        "false_positive_rate": np.where(is_true, np.nan, decided),
        "accuracy": (decided == is_true).astype(float),
    } | loss


def sum_by_group(groups: pl.DataFrame, values: Mapping[str, np.ndarray], days: pl.Series) -> pl.DataFrame:
    """Sum values by group and day.

    Args:
        groups: The group of each row by each sensitive column, String, as `select_groups` gives it; [n] rows.
        values: By metric what each row adds, float64 [n], NaN where it doesn't count.
        days: The day of each row, Date [n].

    Returns:
        The columns of `GROUP_SUM_SCHEMA`: the sum and the number of rows that count of each column, group, metric and
        day that has any, in that order.
    """
    sums = [
        pl.DataFrame({DAY_COLUMN: days, "group": groups[column], "value": values[name]})
        .filter(pl.col("group").is_not_null(), pl.col("value").is_not_nan())
        .group_by("group", DAY_COLUMN)
        .agg(sum=pl.col("value").sum(), rows=pl.len().cast(pl.Int64))
        .select(pl.lit(column).alias("column"), "group", pl.lit(name).alias("metric"), DAY_COLUMN, "sum", "rows")
        for column in groups.columns
        for name in values
    ]
    return pl.concat([pl.DataFrame(schema=GROUP_SUM_SCHEMA), *sums]).sort("column", "group", "metric", DAY_COLUMN)
