"""The check of a batch's rows against the contract: each row keeps it, or is rejected with the rules that it breaks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

import polars as pl

from penumbra.core.checks.schema_checks import find_failing_rules
from penumbra.core.checks.selectors import expand_selectors
from penumbra.core.columns import BROKEN_RULES_COLUMN, ROW_NUMBER_COLUMN
from penumbra.core.problem import Problem
from penumbra.core.text.errors import describe_error
from penumbra.core.text.quoting import list_names, quote_value
from penumbra.data.partitions.contract_rules import KEY_RULE, UNREADABLE_RULE, list_contract_rules
from penumbra.data.partitions.conversion import convert_columns, describe_dtype
from penumbra.data.source_reader import BatchRefused, name_source_file

RowNumbers = Mapping[str, pl.Series]


@dataclass(frozen=True)
class ColumnReading:
    """How the values of a column could be read.

    Attributes:
        given: How many rows have a value.
        unreadable: How many of these values can't be read.
        first: The first value that was given, as it arrived, where none can be read; else None.
    """

    given: int
    unreadable: int
    first: Any

    def __add__(self, later: "ColumnReading") -> "ColumnReading":
        first = self.first if self.given else later.first
        return ColumnReading(self.given + later.given, self.unreadable + later.unreadable, first)


@dataclass(frozen=True)
class CheckedRows:
    """Rows of a batch after the check.

    Attributes:
        good: The rows that keep the contract, with its columns and dtypes.
        rejected: Of each other row its number (UInt32) and the rules that it breaks (List(String)).
        broken: How many rows break each rule, by the rule's name: `column|dtype` for a value that is no such value,
            `column|rule` for a rule of the column's, or the name of a rule of the contract's.
        readings: How the values of each column could be read.
    """

    good: pl.DataFrame
    rejected: pl.DataFrame
    broken: Mapping[str, int]
    readings: Mapping[str, ColumnReading]


def check_rows(
    problem: Problem,
    batch: str,
    rows: pl.DataFrame,
    conversions: Sequence[pl.Expr],
    first: int = 0,
    repeated: RowNumbers | None = None,
) -> CheckedRows:
    """Convert rows to the contract's dtypes and check them.

    A value that was there and can't be read breaks the contract, also where its column may be null.

    Args:
        problem: The problem, loaded with schema and source.
        batch: The batch's name.
        rows: What `parse()` gives, or a flywheel batch has: all rows, or some that follow one another.
        conversions: The CONVERSIONS of the source; none of a flywheel batch.
        first: The number of the first of the rows.
        repeated: The numbers of all rows of the batch that break a rule of `list_unique_values`, ascending, by the
            rule's name; None where these are all its rows.

    Returns:
        The rows that keep the contract, and the others with their reasons.

    Raises:
        BatchRefused: CONVERSIONS or a rule of the contract fail, or a column is missing.
    """
    converted = _apply_conversions(problem, batch, rows, conversions)
    columns = {name: column.dtype for name, column in problem.schema.Labelled.columns().items()}
    values = convert_columns(converted, columns)
    given = _find_given_values(conversions, list(columns), rows, converted)
    missing = values.select(pl.all().is_null())
    unreadable = pl.DataFrame({name: given[name] & missing[name] for name in columns})
    numbers = pl.int_range(first, first + values.height, dtype=pl.UInt32, eager=True)
    found = {rule: numbers.filter(mask) for rule, mask in _find_broken_rules(problem, batch, values).items()}
    for rule, repeating in (repeated or {}).items():
        found[rule] = repeating.filter(repeating.is_between(first, first + values.height, "left"))
    broken = {rule: found[rule] for rule in list_contract_rules(problem.schema.Labelled) if rule in found}
    lost = {mask.name: numbers.filter(mask) for mask in unreadable if mask.any()}
    readings = _read_columns(converted, given, unreadable)
    if not (broken or lost):
        none = pl.DataFrame(schema={ROW_NUMBER_COLUMN: pl.UInt32, BROKEN_RULES_COLUMN: pl.List(pl.String)})
        return CheckedRows(values, none, {}, readings)
    reasons = pl.concat([_empty_reasons(), *_list_reasons(problem, broken, lost)])
    rejected = reasons.group_by(ROW_NUMBER_COLUMN).agg(BROKEN_RULES_COLUMN).sort(ROW_NUMBER_COLUMN)
    return CheckedRows(
        values.filter(~numbers.is_in(rejected[ROW_NUMBER_COLUMN].implode())) if rejected.height else values,
        rejected,
        dict(reasons.group_by(BROKEN_RULES_COLUMN, maintain_order=True).len().iter_rows()),
        readings,
    )


def convert_rows(
    problem: Problem, batch: str, rows: pl.DataFrame, conversions: Sequence[pl.Expr], names: Sequence[str]
) -> pl.DataFrame:
    """Convert some columns to the contract's dtypes, as `check_rows` does.

    Args:
        problem: The problem, loaded with schema and source.
        batch: The batch's name.
        rows: As in `check_rows`.
        conversions: As in `check_rows`.
        names: The columns.

    Returns:
        A row for each of the rows, with these columns; null where a value can't be read.

    Raises:
        BatchRefused: CONVERSIONS fail, or a column is missing.
    """
    converted = _apply_conversions(problem, batch, rows, conversions)
    dtypes = problem.schema.Labelled.columns()
    return convert_columns(converted, {name: dtypes[name].dtype for name in names})


def describe_unreadable_columns(problem: Problem, readings: Mapping[str, ColumnReading]) -> list[str]:
    """Describe the columns of which no value can be read.

    Args:
        problem: The problem, loaded with schema and source.
        readings: How the values of each column of a batch could be read.

    Returns:
        A sentence for each.
    """
    return [
        _describe_fault(problem, name, problem.schema.Labelled.columns()[name].dtype, reading.first)
        for name, reading in readings.items()
        if reading.given and reading.unreadable == reading.given
    ]


def _apply_conversions(
    problem: Problem, batch: str, rows: pl.DataFrame, conversions: Sequence[pl.Expr]
) -> pl.DataFrame:
    try:
        converted = rows.with_columns(conversions)
    except Exception as error:  # whatever the user's expressions do
        raise BatchRefused(
            f"batch {batch} refused: CONVERSIONS of {name_source_file(problem)} fail: {describe_error(error)}; "
            "a conversion with strict=False has unreadable values quarantined"
        ) from error
    if lost := [name for name in problem.schema.Labelled.columns() if name not in converted.columns]:
        raise BatchRefused(
            f"batch {batch} refused: parse() of {name_source_file(problem)} gives no column {', '.join(lost)}; "
            f"it gives {list_names(rows.columns)}"
        )
    return converted


def _find_broken_rules(problem: Problem, batch: str, values: pl.DataFrame) -> dict[str, pl.Series]:
    """Of each rule that some rows break, where that is so; a rule that gives null is kept, as dataframely has it."""
    labelled = problem.schema.Labelled
    try:
        rules = list_contract_rules(labelled)
        is_kept = values.with_columns(**rules).select(*rules)
        return {each.name: ~each.fill_null(value=True) for each in is_kept if not each.all()}
    except Exception as error:  # whatever the user's rules do
        reasons = "; ".join(find_failing_rules(labelled, values)) or describe_error(error)
        raise BatchRefused(
            f"batch {batch} refused: {reasons}; a rule has to give true or false for any row (strict=False gives null)"
        ) from error


def _find_given_values(
    conversions: Sequence[pl.Expr], names: Sequence[str], rows: pl.DataFrame, converted: pl.DataFrame
) -> pl.DataFrame:
    """Where there was a value of each column: in it as it arrived, or in all that a conversion makes it from."""
    sources, empty = dict[str, list[str]](), rows.clear()
    for single in (part for each in conversions for part in expand_selectors(each, empty)):
        for made_name in empty.select(single).columns:
            sources[made_name] = [*sources.get(made_name, ()), *single.meta.root_names()]
    arrived, made = (frame.select(pl.all().is_not_null()) for frame in (rows, converted))

    def find_given(name: str) -> pl.Series:
        if name in arrived.columns:
            return arrived[name] | made[name]
        return reduce(and_, (arrived[source] for source in sources[name])) if sources.get(name) else made[name]

    return pl.DataFrame({name: find_given(name) for name in names})


def _read_columns(converted: pl.DataFrame, given: pl.DataFrame, unreadable: pl.DataFrame) -> dict[str, ColumnReading]:
    counts = ((each, int(each.sum()), int(unreadable[each.name].sum())) for each in given)
    return {
        each.name: ColumnReading(there, lost, converted[each.name].filter(each)[0] if lost and lost == there else None)
        for each, there, lost in counts
    }


def _list_reasons(problem: Problem, broken: RowNumbers, unreadable: RowNumbers) -> Iterator[pl.DataFrame]:
    """The rows that break a rule, for each rule; what else a column's rules say of an unreadable value isn't so."""
    key = problem.schema.Labelled.primary_key()
    for rule, said in broken.items():
        columns = key if rule == KEY_RULE else [name for name in unreadable if rule.startswith(f"{name}|")]
        for column in unreadable.keys() & columns:
            said = said.filter(~said.is_in(unreadable[column].implode()))
        yield _name_reason(said, rule)
    for column, numbers in unreadable.items():
        yield _name_reason(numbers, f"{column}|{UNREADABLE_RULE}")


def _name_reason(numbers: pl.Series, rule: str) -> pl.DataFrame:
    return pl.DataFrame({ROW_NUMBER_COLUMN: numbers}).with_columns(pl.lit(rule).alias(BROKEN_RULES_COLUMN))


def _empty_reasons() -> pl.DataFrame:
    return pl.DataFrame(schema={ROW_NUMBER_COLUMN: pl.UInt32, BROKEN_RULES_COLUMN: pl.String})


def _describe_fault(problem: Problem, name: str, dtype: Any, value: Any) -> str:
    return (
        f"no value of {name} can be read, the first is {quote_value(value)}: expected {describe_dtype(dtype)}; "
        f"convert the column in CONVERSIONS of {name_source_file(problem)}"
    )
