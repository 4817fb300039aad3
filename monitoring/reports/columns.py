"""Selection of the columns and rows that a report is made of.

Evidently rejects a whole report for one column that is missing, empty, all null or of another type than declared. Such
columns are left out here, each with the reason, so that the report can name them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.core.columns import DECISION_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN, name_class_column
from penumbra.core.task import Task
from penumbra.core.text.counts import format_count

MAX_CATEGORY_VALUES = 200


@dataclass(frozen=True)
class ReportColumns:
    """The columns of a report by type, and the reasons why others are left out.

    Attributes:
        numbers: Names of the numeric columns.
        categories: Names of the text, Enum and Boolean columns.
        left_out: By name of a column that is left out, the reason.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Names of all usable columns, numbers first."""
        return [*self.numbers, *self.categories]


@dataclass(frozen=True)
class ReportSides:
    """Two samples of rows that a report compares.

    Attributes:
        current: Rows with the columns of `declared`, and prediction, decision and label as `build_report_frame` gives
            them.
        reference: Rows with the same columns to compare with.
        task: The kind of prediction.
        declared: The polars dtype that each raw column should have.
        threshold: The probability from which on a binary decision is positive; None for other tasks.
    """

    current: pl.DataFrame
    reference: pl.DataFrame
    task: Task
    declared: Mapping[str, Any]
    threshold: float | None = None

    def columns(self) -> ReportColumns:
        """Select the usable ones of the declared columns and the prediction.

        Returns:
            Usable columns by type, and reasons for the others.
        """
        prediction = pl.String() if self.task.kind == "multiclass" else pl.Float64()
        return select_report_columns(self.current, self.reference, {**self.declared, PREDICTION_COLUMN: prediction})


def select_report_columns(current: pl.DataFrame, reference: pl.DataFrame, declared: Mapping[str, Any]) -> ReportColumns:
    """Select the columns that a report can be made of.

    Args:
        current: Rows of the window.
        reference: Rows to compare with.
        declared: The polars dtype that each column should have. A number may have any numeric dtype in the rows, a
            category may be text, Enum or Boolean.

    Returns:
        Usable columns by type, and reasons for the others.
    """
    frames = {"the window": current, "the reference": reference}
    reasons = {name: _exclusion_reason(name, dtype, frames) for name, dtype in declared.items()}
    usable = {name: dtype for name, dtype in declared.items() if not reasons[name]}
    return ReportColumns(
        tuple(name for name, dtype in usable.items() if _is_number(dtype)),
        tuple(name for name, dtype in usable.items() if not _is_number(dtype)),
        {name: reason for name, reason in reasons.items() if reason},
    )


def build_report_frame(rows: pl.DataFrame, output: str, threshold: float | None, task: Task) -> pl.DataFrame:
    """Add the columns that a report reads (see `ReportSides`).

    Args:
        rows: Rows with `penumbra.label` and the column `output`: Float64, or Array(Float64, classes) for several
            classes.
        output: The name of the column with a model's output.
        threshold: The probability from which on a binary decision is positive; unused for other tasks.
        task: The kind of prediction.

    Returns:
        The rows with `penumbra.prediction` and `penumbra.decision`. For several classes both are the most probable
        class (String), with a column of probabilities for each class (`name_class_column`), and the label becomes the
        class's name.
    """
    predicted = pl.col(output)
    if task.kind == "binary":
        return rows.with_columns(predicted.alias(PREDICTION_COLUMN), (predicted >= threshold).alias(DECISION_COLUMN))
    if task.kind == "regression":
        return rows.with_columns(predicted.alias(PREDICTION_COLUMN), predicted.alias(DECISION_COLUMN))
    classes = pl.Series(task.classes)
    best = predicted.arr.arg_max().replace_strict(range(len(classes)), classes, return_dtype=pl.String, default=None)
    probabilities = [
        predicted.arr.get(number).alias(name_class_column(name)) for number, name in enumerate(task.classes)
    ]
    label = pl.col(LABEL_COLUMN).to_physical().replace_strict(range(len(classes)), classes, return_dtype=pl.String)
    return rows.with_columns(*probabilities, label, best.alias(PREDICTION_COLUMN), best.alias(DECISION_COLUMN))


def sample_by_hash(rows: pl.DataFrame, by: list[str], most: int, seed: int) -> pl.DataFrame:
    """Sample the rows whose hash is smallest: the same rows in whatever order they come.

    Args:
        rows: Rows to sample from, any columns.
        by: Names of the columns to hash.
        most: The largest number of rows to return.
        seed: Seed of the hash; another seed gives another sample.

    Returns:
        At most `most` of the rows, in their original order.
    """
    if rows.height <= most:
        return rows
    smallest = rows.select(pl.struct(by).hash(seed).arg_sort().head(most).sort()).to_series()
    return rows[smallest]


def select_finite_values(values: pl.Series) -> pl.Series:
    """Drop nulls and, from floats, NaN and infinities.

    Args:
        values: A column of any dtype.

    Returns:
        The remaining values, with the same dtype and in the same order.
    """
    kept = values.drop_nulls()
    return kept.filter(kept.is_finite()) if kept.dtype.is_float() else kept


def _exclusion_reason(name: str, dtype: Any, frames: Mapping[str, pl.DataFrame]) -> str:
    if not _is_number(dtype) and not _is_category(dtype):
        return f"{dtype} is neither a number nor a category"
    return next(
        (reason for where, frame in frames.items() if (reason := _exclusion_reason_in(name, dtype, frame, where))), ""
    )


def _exclusion_reason_in(name: str, dtype: Any, frame: pl.DataFrame, where: str) -> str:
    if name not in frame.columns:
        return f"missing in {where}"
    values = frame[name]
    if not values.len():
        return f"no rows in {where}"
    if values.null_count() == values.len():
        return f"nothing but nulls in {where}"
    if not (_is_number if _is_number(dtype) else _is_category)(values.dtype):
        return f"{values.dtype} in {where}, where the contract has {dtype}"
    if not select_finite_values(values).len():
        return f"no finite number in {where}"
    if not _is_number(dtype) and (number := values.n_unique()) > MAX_CATEGORY_VALUES:
        return (
            f"{format_count(number, 'different value')} in {where}, of which a report shows "
            f"{MAX_CATEGORY_VALUES} at most"
        )
    return ""


def _is_number(dtype: Any) -> bool:
    return bool(dtype.is_numeric())


def _is_category(dtype: Any) -> bool:
    return dtype in (pl.String, pl.Boolean, pl.Categorical) or isinstance(dtype, pl.Enum)
