"""What of a window's rows a report can be made of. Evidently raises, as a whole, on a column that is missing, empty,
all null or of another type than declared; such columns are left out here, each with the reason, so that the report can
name them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

MAX_CATEGORY_VALUES = 200


@dataclass(frozen=True)
class ReportFigure:
    """A number that was counted over all rows: a point of `series` in the panel of `group`."""

    group: str
    series: str
    value: float


@dataclass(frozen=True)
class ReportColumns:
    """Which columns are numbers, which categories, and why each of the others is left out."""

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        return [*self.numbers, *self.categories]


def select_report_columns(current: pl.DataFrame, reference: pl.DataFrame, declared: Mapping[str, Any]) -> ReportColumns:
    """`declared`: the polars dtype that each column should have. A number may have any numeric dtype, a category be
    text, an Enum or Boolean."""
    frames = {"the window": current, "the reference": reference}
    why = {name: _exclusion_reason(name, dtype, frames) for name, dtype in declared.items()}
    usable = {name: dtype for name, dtype in declared.items() if not why[name]}
    return ReportColumns(
        tuple(name for name, dtype in usable.items() if _is_number(dtype)),
        tuple(name for name, dtype in usable.items() if not _is_number(dtype)),
        {name: reason for name, reason in why.items() if reason},
    )


def sample_by_hash(rows: pl.DataFrame, by: list[str], most: int, seed: int) -> pl.DataFrame:
    """At most so many rows, those whose hash of the columns `by` is the smallest: the same ones whatever the order of
    the rows, and of twice as many rows mostly others."""
    if rows.height <= most:
        return rows
    settings = rows.select(pl.struct(by).hash(seed).arg_sort().head(most).sort()).to_series()
    return rows[settings]


def select_finite_values(values: pl.Series) -> pl.Series:
    """The values that are neither null nor, of numbers, NaN or infinite."""
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
        return f"{number:,} different values in {where}, of which a report shows {MAX_CATEGORY_VALUES} at most"
    return ""


def _is_number(dtype: Any) -> bool:
    return bool(dtype.is_numeric())


def _is_category(dtype: Any) -> bool:
    return dtype in (pl.String, pl.Boolean, pl.Categorical) or isinstance(dtype, pl.Enum)
