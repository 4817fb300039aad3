"""The checks that features and checks between columns pass when they are loaded: both of their forms give the same."""

from collections.abc import Callable, Iterator, Mapping
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl

from penumbra.core.checks.expression_checks import find_expression_faults
from penumbra.features import (
    Category,
    ClockMinutes,
    ColumnCheck,
    Difference,
    Expression,
    Feature,
    Hour,
    Month,
    Number,
    ValidClock,
    Weekday,
)

Dtype = pl.DataType
SMALL_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
ORDERED_DTYPES = (pl.Boolean, pl.String, pl.Date, pl.Datetime, pl.Time, pl.Duration, pl.Decimal, pl.Binary)


def _is_number(dtype: Dtype) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean


def _is_category(dtype: Dtype) -> bool:
    return dtype.is_integer() or isinstance(dtype, pl.String | pl.Enum | pl.Categorical | pl.Boolean)


def _has_date(dtype: Dtype) -> bool:
    return isinstance(dtype, pl.Date | pl.Datetime)


def _has_clock(dtype: Dtype) -> bool:
    return isinstance(dtype, pl.Datetime | pl.Time)


# By kind: the test that the dtype of each column has to pass, and the words that complete "expected …".
EXPECTED_DTYPES: Mapping[type, tuple[Callable[[Dtype], bool], str]] = {
    Number: (_is_number, "an integer, Float, Decimal or Boolean"),
    Difference: (_is_number, "an integer, Float, Decimal or Boolean"),
    Category: (_is_category, "a String, Enum, Categorical, Boolean or integer"),
    ClockMinutes: (lambda dtype: dtype.is_integer(), "an integer hhmm"),
    Hour: (_has_clock, "a Datetime or Time"),
    Weekday: (_has_date, "a Datetime or Date"),
    Month: (_has_date, "a Datetime or Date"),
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
        yield from find_expression_faults(feature, row)
        return
    accepts, expected = EXPECTED_DTYPES[type(feature)]
    for column in feature.columns:
        if not accepts(dtype := row.columns()[column].dtype):
            yield f"{feature!r}, but {column} is of dtype {dtype}: expected {expected}; {_suggest(column, dtype)}"
    if isinstance(feature, Hour | Weekday | Month) and not _is_zone(feature.zone):
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
    if isinstance(dtype, pl.Date | pl.Datetime | pl.Time):
        kinds = [kind.__name__ for kind in (Hour, Weekday, Month) if EXPECTED_DTYPES[kind][0](dtype)]
        return "write " + " or ".join(f'{kind}("{column}", "UTC")' for kind in kinds)
    method = next((method for kind, method in NUMBER_METHODS.items() if isinstance(dtype, kind)), "")
    if not method:
        return "give the column one of these dtypes in Row"
    name = f"{column}_{method.partition('(')[0].rpartition('.')[2]}"
    return f'write Expression("{name}", pl.col("{column}").{method}, Row)'


# By dtype: a method that makes a number of such a column.
NUMBER_METHODS: Mapping[type[Dtype], str] = {
    pl.Duration: "dt.total_seconds()",
    pl.List: "list.len()",
    pl.Array: "arr.sum()",
    pl.Binary: "bin.size()",
    pl.Struct: "struct.field(…)",
}
