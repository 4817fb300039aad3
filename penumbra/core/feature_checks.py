"""The checks that features and checks between columns pass when they are loaded: both of their forms give the same."""

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl

from penumbra.core.feature_specs import find_foreign_code
from penumbra.features import (
    Category,
    ClockMinutes,
    ColumnCheck,
    Difference,
    Expression,
    Feature,
    Number,
    ValidClock,
    Weekday,
)
from penumbra.features.kinds import select_column

Dtype = pl.DataType
PROBE_ROWS, SAMPLE_SEED = 20, 2013
SMALL_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
ORDERED_DTYPES = (pl.Boolean, pl.String, pl.Date, pl.Datetime, pl.Time, pl.Duration, pl.Decimal, pl.Binary)


def _is_number(dtype: Dtype) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean


def _is_category(dtype: Dtype) -> bool:
    return dtype.is_integer() or isinstance(dtype, pl.String | pl.Enum | pl.Categorical | pl.Boolean)


def _has_weekday(dtype: Dtype) -> bool:
    return isinstance(dtype, pl.Date | pl.Datetime)


# By kind: the test that the dtype of each column has to pass, and the words that complete "expected …".
EXPECTED_DTYPES: Mapping[type, tuple[Callable[[Dtype], bool], str]] = {
    Number: (_is_number, "an integer, Float, Decimal or Boolean"),
    Difference: (_is_number, "an integer, Float, Decimal or Boolean"),
    Category: (_is_category, "a String, Enum, Categorical, Boolean or integer"),
    ClockMinutes: (lambda dtype: dtype.is_integer(), "an integer hhmm"),
    Weekday: (_has_weekday, "a Datetime or Date"),
}


def find_feature_faults(feature: Feature, row: type[dy.Schema]) -> Iterator[str]:
    """Find out why the two forms of a feature could differ, or give nothing.

    Args:
        feature: A feature that reads columns of `row` only.
        row: The schema whose columns it reads.

    Yields:
        Words that complete "FEATURES has …".
    """
    if isinstance(feature, Expression):
        yield from _find_expression_faults(feature, row)
        return
    accepts, expected = EXPECTED_DTYPES[type(feature)]
    for column in feature.columns:
        if not accepts(dtype := row.columns()[column].dtype):
            yield f"{feature!r}, but {column} is of dtype {dtype}: expected {expected}; {_suggest(column, dtype)}"
    if isinstance(feature, Weekday) and not _is_zone(feature.zone):
        yield f"{feature!r} in the unknown time zone {feature.zone!r}: expected one like 'Europe/Berlin' or 'UTC'"


def find_check_faults(check: ColumnCheck, row: type[dy.Schema]) -> Iterator[str]:
    """Find out why a check between columns could hold for a row of a frame and not for the same record.

    Args:
        check: A check that reads columns of `row` only.
        row: The schema whose columns it reads.

    Yields:
        Words that complete "CHECKS has …".
    """
    dtypes = {column: row.columns()[column].dtype for column in check.columns}
    found = ", ".join(f"{column} is of dtype {dtype}" for column, dtype in dtypes.items())
    if isinstance(check, ValidClock):
        if not dtypes[check.column].is_integer():
            yield f"{check!r}, but {found}: expected an integer hhmm; a dy.Time is a valid clock by itself"
    elif not _is_comparable(dtypes[check.column], dtypes[check.other]):
        yield (
            f"{check!r}, but {found}: expected two integers, two floats (or one and an integer of at most 32 bits), or "
            f"one dtype of {', '.join(kind.__name__ for kind in ORDERED_DTYPES)}; give both one dtype in Row"
        )


def _is_comparable(left: Dtype, right: Dtype) -> bool:
    if left.is_integer() and right.is_integer():
        return True
    as_floats = (pl.Float32, pl.Float64, *SMALL_INTEGERS)
    if left in as_floats and right in as_floats:
        return True
    return left == right and left in ORDERED_DTYPES


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
        pl.Series([], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(name)
    except (KeyError, ValueError, OSError, pl.exceptions.PolarsError):
        return False
    return True


def _suggest(column: str, dtype: Dtype) -> str:
    """What to write for a column of this dtype instead."""
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        return f'write Number("{column}"), or make it an integer or String in Row'
    if _is_category(dtype):
        return f'write Category("{column}"), or make it a number in Row'
    method, write = next(
        (words for kind, words in SUGGESTED_METHODS.items() if isinstance(dtype, kind)),
        ("", "give the column one of these dtypes in Row"),
    )
    expression = f'Expression("{column}_{method.split("(")[0].split(".")[-1]}", pl.col("{column}").{method}, Row)'
    return f"write {write.format(column=column)}{expression}" if method else write


# By dtype: a method that makes a number of such a column, and what else to write.
SUGGESTED_METHODS: Mapping[type[Dtype], tuple[str, str]] = {
    pl.Datetime: ("dt.hour()", 'Weekday("{column}", "UTC") or '),
    pl.Date: ("dt.month()", 'Weekday("{column}", "UTC") or '),
    pl.Time: ("dt.hour()", ""),
    pl.Duration: ("dt.total_seconds()", ""),
    pl.List: ("list.len()", ""),
    pl.Array: ("arr.sum()", ""),
    pl.Binary: ("bin.size()", ""),
    pl.Struct: ("struct.field(…)", ""),
}


def _find_expression_faults(feature: Expression, row: type[dy.Schema]) -> Iterator[str]:
    """Find out why an expression can't be a feature; the first reason is enough."""
    name, meta = f"the Expression {feature.name!r}", feature.expression.meta
    if meta.has_multiple_outputs() or not feature.columns:
        yield f"{name}, which names no columns: expected columns by their names, pl.col(…), not selectors or literals"
        return
    if foreign := find_foreign_code(feature):
        yield (
            f"{name}, which has code that isn't polars' ({foreign}), and no model carries such code: write it with "
            "polars' own expressions, or compute the column in problem/source.py"
        )
        return
    try:
        dtype = row.create_empty().select(value=feature.expression).schema["value"]
    except pl.exceptions.PolarsError as error:
        yield f"{name}, which can't be computed from the columns of Row: {_first_line(error)}"
        return
    if not (_is_number(dtype) or dtype.is_temporal()):
        yield f"{name}, which gives {dtype}: expected a number or Boolean (a text is a column of its own)"
    elif reason := _find_dependence(feature, row):
        yield (
            f"{name}, {reason}: expected one that gives a row the same number whatever the rows beside it, as a "
            "request has none (no mean(), rank(), shift() or over(); parse() may compute such a column)"
        )


def _find_dependence(feature: Expression, row: type[dy.Schema]) -> str:
    """Say why a row's value depends on other rows, or "" if nothing shows that it does."""
    try:
        separable = feature.expression.meta.is_row_separable()
    except pl.exceptions.PolarsError:  # polars doesn't look into functions of Python without the columns
        separable = True
    if not separable:
        return "which reads other rows"
    try:
        rows = _sample_rows(feature, row)
        values = rows.select(feature.expr().fill_null(math.nan)).to_series().to_list()
    except Exception:  # the contract can't be sampled, or these rows can't be computed: real rows tell, at the gate
        return ""
    scalar = feature.scalar()
    try:
        alone = [scalar(record) for record in rows.iter_rows(named=True)]
    except Exception as error:
        return f"which fails for a row by itself ({_first_line(error)})"
    for value, single in zip(values, alone, strict=True):
        if value != single and not (math.isnan(value) and math.isnan(single)):
            return f"which gives {value} for a row among others and {single} for the same row by itself"
    return ""


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def sample_columns(row: type[dy.Schema], names: Sequence[str], count: int) -> pl.DataFrame:
    """Sample values of some columns, each column for itself: rules between columns may be broken.

    Args:
        row: A schema with these columns.
        names: Names of columns.
        count: The number of rows.

    Returns:
        The rows, the same ones each time; a time that Python can't hold is null.

    Raises:
        ValueError: dataframely can't sample a column with such conditions; those of the user's own may raise others.
    """
    columns = {name: row.columns()[name] for name in names}
    schema: type[dy.Schema] = type("Sampled", (dy.Schema,), {"__module__": __name__, **columns})
    rows = schema.sample(count, generator=dy.random.Generator(SAMPLE_SEED))
    times = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
    return rows.with_columns(_drop_years_beyond_python(name) for name in times)


def _drop_years_beyond_python(name: str) -> pl.Expr:
    """dataframely samples milliseconds a thousandfold too large; polars panics where a value isn't one of Python's."""
    column = select_column(name)
    return pl.when(column.dt.year().is_between(dt.MINYEAR + 1, dt.MAXYEAR - 1)).then(column).alias(name)


def _sample_rows(feature: Expression, row: type[dy.Schema]) -> pl.DataFrame:
    """Sample rows of the columns that are read; each row twice, and once with other values in the first column."""
    rows = sample_columns(row, feature.columns, PROBE_ROWS)
    first = pl.col(feature.columns[0])
    return pl.concat([rows, rows, rows.with_columns(first.reverse())])
