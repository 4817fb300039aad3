"""Data faults to inject into requests: a changed unit, a renamed value, a frozen or missing column.

Which one follows from the contract and the rows: the service takes only requests that keep the contract, so a fault
must keep it too; and of those that do, the first is taken that shows on a day beside the days before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from monitoring.faults.data_faults import find_data_faults
from monitoring.faults.expectations import Expectations, learn_expectations
from monitoring.faults.units import UNIT_CONVERSIONS, UnitConversion
from penumbra.core.problem import Problem
from penumbra.features.kinds import select_column

MAX_MISSING_SHARE = 0.5  # of a column that goes missing, on the days before
MIN_VALUES = 2  # different values of a column that can freeze


@dataclass(frozen=True)
class InjectedFault:
    """A fault of the rows of some days.

    Attributes:
        columns: The columns that it alters.
        words: What it does, such as "amount is missing".
        changes: The new values of these columns, as expressions on the rows of a day.
    """

    columns: tuple[str, ...]
    words: str
    changes: tuple[pl.Expr, ...]

    def alter_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `rows` of a day with the fault: the same columns with the same dtypes."""
        return rows.with_columns(self.changes)


def choose_fault(problem: Problem, before: pl.DataFrame, days: Sequence[pl.DataFrame]) -> InjectedFault | None:
    """Choose the fault that suits a problem's columns.

    Args:
        problem: The problem, with schema and features.
        before: Rows of the days before, with the columns of the contract `Row`.
        days: The rows of each day that gets the fault, with the same columns.

    Returns:
        Of the faults that keep the contract on all days the first that shows on one of them, or else the last, which is
        the plainest; None where no column can be altered within the contract.
    """
    expectations, chosen = _learn_expectations(problem, before), None
    for fault in list_faults(problem, before):
        if _keeps_contract(problem, fault, days):
            chosen = fault
            if expectations and any(_is_visible(fault, day, expectations) for day in days):
                break
    return chosen


def list_faults(problem: Problem, rows: pl.DataFrame) -> Iterator[InjectedFault]:
    """List the faults that rows could have, whether or not they keep the contract.

    Args:
        problem: The problem, with schema and features.
        rows: Rows of some days, with the columns of the contract `Row`.

    Yields:
        Changed units, then renamed values, frozen columns and missing ones; each in the contract's order of columns,
        with those first that may be missing, as what was measured or joined.
    """
    columns = _select_columns(problem)
    for name in columns:
        yield from _change_unit(problem, rows.schema, name)
    for name in columns:
        yield from _rename_value(rows, name)
    for name in columns:
        if rows[name].drop_nulls().n_unique() >= MIN_VALUES:
            frozen = select_column(name).drop_nulls().first().alias(name)
            yield InjectedFault((name,), f"{name} is frozen: it has the day's first value in all rows", (frozen,))
    for name in columns:
        if rows.height and rows[name].null_count() <= MAX_MISSING_SHARE * rows.height:
            nothing = pl.lit(None, rows.schema[name]).alias(name)
            yield InjectedFault((name,), f"{name} is missing from all rows", (nothing,))


def _select_columns(problem: Problem) -> list[str]:
    """The columns that a feature reads and that neither identify a row nor say when it happened."""
    schema = problem.schema
    kept = {schema.TIME, *schema.Row.primary_key()}
    read = {name for feature in problem.features.FEATURES for name in feature.columns}
    columns = {name: each for name, each in schema.Row.columns().items() if name in read - kept}
    return sorted(columns, key=lambda name: not columns[name].nullable)


def _change_unit(problem: Problem, dtypes: pl.Schema, name: str) -> Iterator[InjectedFault]:
    """The column in other units, alone or together with those that a check ties to it."""
    column = problem.schema.Row.columns()[name]
    if not column.dtype.is_numeric():
        return
    tied = {name}.union(*(check.columns for check in problem.schema.CHECKS if name in check.columns))
    has_degrees = (getattr(column, "min", None) or 0) < 0
    for conversion in UNIT_CONVERSIONS if has_degrees else [each for each in UNIT_CONVERSIONS if not each.offset]:
        for names in dict.fromkeys([(name,), tuple(each for each in dtypes if each in tied)]):
            words = f"{' and '.join(names)} {'have' if names[1:] else 'has'} another unit ({conversion.name})"
            yield InjectedFault(names, words, tuple(_convert(each, dtypes[each], conversion) for each in names))


def _convert(name: str, dtype: Any, conversion: UnitConversion) -> pl.Expr:
    value = select_column(name).cast(pl.Float64) * conversion.factor + conversion.offset
    return (value.round() if dtype.is_integer() else value).cast(dtype).alias(name)


def _rename_value(rows: pl.DataFrame, name: str) -> Iterator[InjectedFault]:
    """The most frequent text in other spellings that no row has."""
    values = rows[name].drop_nulls()
    if values.dtype != pl.String or values.is_empty():
        return
    (usual,) = values.mode(maintain_order=True).sort().head(1)
    for new in (usual.swapcase(), usual.upper(), usual.lower(), f"{usual}-2", usual[::-1], usual[:-1] + "X"):
        if new not in values:
            changed = select_column(name).replace(usual, new).alias(name)
            yield InjectedFault((name,), f"{usual} in {name} is renamed to {new}", (changed,))


def _keeps_contract(problem: Problem, fault: InjectedFault, days: Sequence[pl.DataFrame]) -> bool:
    """Whether something changes, and the service takes all rows."""
    checks = [check.expr().all() for check in problem.schema.CHECKS]
    try:
        altered = [fault.alter_rows(day) for day in days]
    except pl.exceptions.PolarsError:  # a value doesn't fit the column's dtype
        return False
    return not all(new.equals(old) for new, old in zip(altered, days, strict=True)) and all(
        problem.schema.Row.is_valid(new) and (not checks or all(new.select(checks).row(0))) for new in altered
    )


def _learn_expectations(problem: Problem, before: pl.DataFrame) -> Expectations | None:
    try:
        return learn_expectations(before, problem.schema)
    except ValueError:  # too few days
        return None


def _is_visible(fault: InjectedFault, day: pl.DataFrame, expectations: Expectations) -> bool:
    usual = {found.key for found in find_data_faults(day, expectations)}
    return any(
        found.column in fault.columns and found.key not in usual
        for found in find_data_faults(fault.alter_rows(day), expectations)
    )
