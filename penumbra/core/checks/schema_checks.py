"""The checks of `problem/schema.py` that compute something: the target, the contract's rules."""

from collections.abc import Iterator

import dataframely as dy
import polars as pl

from penumbra.core.checks.expression_checks import PROBE_ROWS, has_other_rows
from penumbra.core.problem import ProblemSchema
from penumbra.core.task import Task, UnsupportedTargetError, read_target_dtype
from penumbra.core.text.counts import format_count
from penumbra.core.text.errors import describe_error


def find_target_faults(schema: ProblemSchema) -> Iterator[str]:
    """Find out why the target can't be learnt, or not be computed of a label by itself.

    Args:
        schema: The part, whose columns have legal names.

    Yields:
        A sentence for the fault.
    """
    try:
        target = schema.target()
        Task.from_schema(schema)
    except UnsupportedTargetError as error:
        yield str(error)
    except Exception as error:  # whatever the user's function does
        yield f"target() fails on the columns of Labelled: {type(error).__name__}: {error}"
    else:
        if isinstance(target, pl.Expr):
            yield from _find_unreported_columns(schema) or _find_row_dependence(schema) or _find_binary_number(schema)
        else:
            yield f"target() returns {target!r}: expected a polars expression, such as pl.col({target!r})"


def find_failing_rules(schema: type[dy.Schema], rows: pl.DataFrame) -> Iterator[str]:
    """Find the rules of a contract that can't be computed.

    Args:
        schema: The contract, of a request or of a batch.
        rows: A frame with its columns; an empty one tells whether a rule can be computed at all.

    Yields:
        A sentence for each rule that fails, gives no Boolean, or another number of them than there are rows.
    """
    several = rows if rows.height else make_null_rows(rows, PROBE_ROWS)
    for name, rule in schema._validation_rules(with_cast=False).items():
        try:
            dtype = rows.select(value=rule.expr).schema["value"]
        except Exception as error:  # whatever the user's function does
            yield f"the rule {name!r} fails on the columns of {schema.__name__}: {describe_error(error)}"
        else:
            if dtype != pl.Boolean:
                yield f"the rule {name!r} gives {dtype}: expected Boolean, true where a row keeps it"
            elif (count := _count_values(rule.expr, several)) not in (1, several.height):
                given = f"{format_count(count, 'value')} for {format_count(several.height, 'row')}"
                yield f"the rule {name!r} gives {given}: expected one for each row, without drop_nulls() and such"


def make_null_rows(empty: pl.DataFrame, count: int) -> pl.DataFrame:
    """Make rows of nulls in one query: `DataFrame.clear` makes one for each column, a tenth of a load for each call.

    Args:
        empty: A frame without rows.
        count: How many rows.

    Returns:
        A frame with its columns.
    """
    return empty.select(pl.all().extend_constant(None, count))


def _count_values(rule: pl.Expr, rows: pl.DataFrame) -> int:
    try:
        return rows.select(rule).height
    except Exception:  # whatever the user's function does with rows of nulls
        return rows.height


def _find_unreported_columns(schema: ProblemSchema) -> list[str]:
    """A label that is reported later has the outcome's columns, and no other."""
    row, meta = schema.Row.columns(), schema.target().meta
    read = meta.root_names()
    outcome = [name for name in schema.Labelled.columns() if name not in row]
    if known := [name for name in read if name in row]:
        return [
            f"target() reads {', '.join(known)} of Row, which a label that is reported later hasn't: expected columns "
            f"of the outcome only ({', '.join(outcome)}); have parse() in problem/source.py compute what it needs as "
            "one more column of Labelled"
        ]
    if not read or meta.has_multiple_outputs():
        what = "columns by a pattern, a list or a type" if meta.has_multiple_outputs() else "no column"
        return [f"target() reads {what}: expected columns of the outcome by their names ({', '.join(outcome)})"]
    return []


def _find_row_dependence(schema: ProblemSchema) -> list[str]:
    """The target of a label among others is the one that it has by itself."""
    if not has_other_rows(schema.target()):
        return []
    return [
        "target() reads other rows: expected an expression that gives a label the same target whatever the labels "
        "beside it; have parse() in problem/source.py compute such a column"
    ]


def _find_binary_number(schema: ProblemSchema) -> list[str]:
    """A column of integers from 0 to 1 would be learnt as a number."""
    target = schema.target()
    names, columns = target.meta.root_names(), schema.Labelled.columns()
    if len(names) != 1 or not read_target_dtype(schema).is_integer():
        return []
    name, column = names[0], columns[names[0]]
    limits = getattr(column, "min", None), getattr(column, "max", None)
    if target.meta.undo_aliases().meta.is_column() and (
        limits == (0, 1) or list(getattr(column, "is_in", None) or ()) == [0, 1]
    ):
        return [
            f'target() gives the numbers 0 and 1 of {name!r}: write pl.col("{name}") == 1 for yes or no, or cast to '
            "Float64 to predict a number"
        ]
    return []
