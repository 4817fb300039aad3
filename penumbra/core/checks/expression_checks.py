"""The checks that an expression passes to be a feature: a row gets the same number alone and among others."""

import copy
import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dataframely as dy
import polars as pl

from penumbra.core.checks.selectors import replace_selectors
from penumbra.core.contract.feature_specs import find_foreign_code
from penumbra.core.contract.value_readers import NANOSECOND_YEARS
from penumbra.core.text.counts import format_count
from penumbra.core.text.errors import describe_error
from penumbra.features import Expression
from penumbra.features.kinds import select_column

PROBE_ROWS, SAMPLE_SEED = 20, 2013
MAX_PROBE_ROUNDS = 1000  # dataframely's own 10,000 take seconds, at each start, where no value meets a condition


def find_expression_faults(feature: Expression, row: type[dy.Schema]) -> Iterator[str]:
    """Find out why an expression can't be a feature; the first reason is enough.

    Args:
        feature: An expression that reads columns of `row` only.
        row: The schema whose columns it reads.

    Yields:
        Words that complete "FEATURES has …".
    """
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
        yield f"{name}, which can't be computed from the columns of Row: {describe_error(error)}"
        return
    if not (dtype.is_numeric() or dtype == pl.Boolean or dtype.is_temporal()):
        yield f"{name}, which gives {dtype}: expected a number or Boolean (a text is a column of its own)"
    elif _infers_format(json.loads(meta.serialize(format="json"))):
        yield (
            f"{name}, which infers the format of a time from the texts that come together: give it, as in "
            'str.to_date("%Y-%m-%d", strict=False)'
        )
    elif reason := _find_dependence(replace(feature, schema=row), row):
        yield f"{name}, {reason}"


def _infers_format(node: Any) -> bool:
    """Whether polars' JSON has options for parsing times whose format is null."""
    if isinstance(node, dict):
        return ("strict" in node and node.get("format", "") is None) or any(map(_infers_format, node.values()))
    return isinstance(node, list) and any(map(_infers_format, node))


def _find_dependence(feature: Expression, row: type[dy.Schema]) -> str:
    """Say why a row's value depends on other rows, or fails, or "" if nothing shows that it does."""
    if has_other_rows(feature.expression):
        return f"which reads other rows: {ONE_ROW}"
    if any(_numbers_categorical(part, row) for part in _list_parts(feature.expression)):
        return "which numbers a Categorical's values as each process happens to meet them: make the column a dy.Enum"
    rows, allowed = _sample_rows(feature, row)
    try:
        values = rows.select(feature.expr().fill_null(math.nan)).to_series().to_list()
        if len(values) != len(rows):
            return f"which gives {format_count(len(values), 'number')} for {format_count(len(rows), 'row')}: {ONE_ROW}"
        alone = list(map(feature.scalar(), rows.iter_rows(named=True)))
    except (Exception, pl.exceptions.PanicException) as error:
        return f"which fails for values that Row allows ({describe_error(error)}): {NO_FAILURE}" if allowed else ""
    for value, single in zip(values, alone, strict=True):
        if value != single and not (math.isnan(value) and math.isnan(single)):
            return f"which gives {value} for a row among others and {single} for the same row by itself: {ONE_ROW}"
    return ""


ONE_ROW = (
    "expected one that gives a row the same number whatever the rows beside it, as a request has none (no mean(), "
    "len(), rank(), shift() or over(); parse() may compute such a column)"
)
NO_FAILURE = (
    "let what can't be computed be missing, by strict=False in cast() and the methods of str, default=None in "
    "replace_strict(); or have Row refuse such values"
)


def has_other_rows(expression: pl.Expr, unsure: bool = False) -> bool:
    """Check whether any part of an expression reads other rows than the one that it gives a value for.

    Args:
        expression: A polars expression.
        unsure: What is returned where polars can't tell.

    Returns:
        Whether polars says so of a part; it knows nothing of functions of Python.
    """
    return any(_reads_other_rows(part, unsure) for part in _list_parts(_name_columns(expression)))


def _name_columns(expression: pl.Expr) -> pl.Expr:
    """The expression with a column in place of each selector, of which polars can't tell what is asked here."""
    try:
        return replace_selectors(expression)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):  # functions of Python
        return expression


def _list_parts(expression: pl.Expr) -> Iterator[pl.Expr]:
    """Yield an expression and all that it is made of: polars looks at the outermost operation only."""
    yield expression
    for part in expression.meta.pop():
        yield from _list_parts(part)


def _reads_other_rows(part: pl.Expr, unsure: bool) -> bool:
    within_list = not part.meta.root_names() and '"Element"' in part.meta.serialize(format="json")
    try:
        return not (within_list or part.meta.is_literal() or part.meta.is_row_separable())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):  # polars can't tell without the columns
        return unsure


def _numbers_categorical(part: pl.Expr, row: type[dy.Schema]) -> bool:
    if not part.meta.serialize(format="json").endswith('"function":"ToPhysical"}}'):
        return False
    (numbered,) = part.meta.pop()
    return bool(row.create_empty().select(value=numbered).schema["value"] == pl.Categorical)


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
    columns = {name: _sample_as_microseconds(row.columns()[name]) for name in names}
    schema: type[dy.Schema] = type("Sampled", (dy.Schema,), {"__module__": __name__, **columns})
    sampled = schema.sample(count, generator=dy.random.Generator(SAMPLE_SEED))
    rows = sampled.cast({name: row.columns()[name].dtype for name in names})
    times = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
    return rows.with_columns(_drop_years_beyond_python(name) for name in times)


def _sample_as_microseconds(column: dy.Column) -> dy.Column:
    """dataframely samples microseconds and takes them for the column's unit, so that none may keep its limits."""
    sampled = copy.copy(column)
    if isinstance(sampled, dy.List | dy.Array):
        sampled.inner = _sample_as_microseconds(sampled.inner)
    elif isinstance(sampled, dy.Struct):
        sampled.inner = {name: _sample_as_microseconds(inner) for name, inner in sampled.inner.items()}
    elif isinstance(sampled, dy.Datetime | dy.Duration):
        if isinstance(sampled, dy.Datetime) and sampled.time_unit == "ns":
            _keep_to_nanoseconds(sampled)
        sampled.time_unit = "us"
    return sampled


def _keep_to_nanoseconds(column: dy.Datetime) -> None:
    """Have a column sample times of the years that nanoseconds can hold, whose ends suit any resolution."""
    zone, (first, last) = dt.UTC if column.time_zone else None, NANOSECOND_YEARS
    begin, end = dt.datetime(first, 1, 1, tzinfo=zone), dt.datetime(last + 1, 1, 1, tzinfo=zone)
    if column.min_exclusive is None:
        column.min = max(column.min or begin, begin)
    if column.max_exclusive is None and (column.max is None or column.max >= end):
        column.max, column.max_exclusive = None, end


def _drop_years_beyond_python(name: str) -> pl.Expr:
    """polars panics where a value isn't one of Python's."""
    column = select_column(name)
    return pl.when(column.dt.year().is_between(dt.MINYEAR + 1, dt.MAXYEAR - 1)).then(column).alias(name)


def _sample_rows(feature: Expression, row: type[dy.Schema]) -> tuple[pl.DataFrame, bool]:
    """Sample rows of the columns that are read, each row twice, and once with other values in the first column.

    The second result is whether they keep the contract: dataframely can't sample what the user's own `check` demands.
    """
    names, allowed = feature.columns, True
    with dy.Config(max_sampling_iterations=MAX_PROBE_ROUNDS):
        try:
            rows = sample_columns(row, names, PROBE_ROWS)
        except (Exception, pl.exceptions.PanicException):  # whatever the user's conditions do
            rows, allowed = _sample_without_checks(row, names), False
    return pl.concat([rows, rows, rows.with_columns(pl.col(names[0]).reverse())]), allowed


def _sample_without_checks(row: type[dy.Schema], names: Sequence[str]) -> pl.DataFrame:
    columns = {name: copy.copy(row.columns()[name]) for name in names}
    for column in columns.values():
        column.check = None
    try:
        return sample_columns(type("Unchecked", (dy.Schema,), columns), names, PROBE_ROWS)
    except (Exception, pl.exceptions.PanicException):  # nor what other conditions do
        return row.create_empty().select(names)
