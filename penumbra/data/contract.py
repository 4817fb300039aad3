"""The check of a batch's rows against the contract: each row keeps it, or is rejected with the rules that it breaks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dataframely as dy
import polars as pl

from penumbra.core.checks.schema_checks import find_failing_rules
from penumbra.core.columns import BROKEN_RULES_COLUMN, ROW_NUMBER_COLUMN
from penumbra.core.problem import Problem
from penumbra.core.text.errors import describe_error
from penumbra.core.text.quoting import list_names, quote_value
from penumbra.data.conversion import Inconvertible, convert_column, describe_dtype
from penumbra.data.source_reader import BatchRefused, name_source_file

UNREADABLE_RULE = "dtype"
KEY_RULE = "primary_key"

RowMasks = Mapping[str, pl.Series]


@dataclass(frozen=True)
class CheckedRows:
    """The rows of a batch after the check.

    Attributes:
        good: The rows that keep the contract, with its columns and dtypes.
        rejected: Of each other row its number (UInt32, from 0) and the rules that it breaks (List(String)).
        broken: How many rows break each rule, by the rule's name: `column|dtype` for a value that is no such value,
            `column|rule` for a rule of the column's, or the name of a rule of the contract's.
        faults: A sentence for each column of which no value can be read.
    """

    good: pl.DataFrame
    rejected: pl.DataFrame
    broken: Mapping[str, int]
    faults: list[str]


def check_rows(problem: Problem, batch: str, rows: pl.DataFrame, conversions: Sequence[pl.Expr]) -> CheckedRows:
    """Convert rows to the contract's dtypes and check them.

    A value that was there and can't be read breaks the contract, also where its column may be null.

    Args:
        problem: The problem, loaded with schema and source.
        batch: The batch's name.
        rows: What `parse()` gives, or a flywheel batch has.
        conversions: The CONVERSIONS of the source; none of a flywheel batch.

    Returns:
        The rows that keep the contract, and the others with their reasons.

    Raises:
        BatchRefused: CONVERSIONS or a rule of the contract fail, or a column is missing.
    """
    converted = _apply_conversions(problem, batch, rows, conversions)
    columns = {name: column.dtype for name, column in problem.schema.Labelled.columns().items()}
    if lost := [name for name in columns if name not in converted.columns]:
        raise BatchRefused(
            f"batch {batch} refused: parse() of {name_source_file(problem)} gives no column {', '.join(lost)}; "
            f"it gives {list_names(rows.columns)}"
        )
    values = {name: _convert(converted[name], dtype) for name, dtype in columns.items()}
    there = {name: _find_given_values(conversions, name, rows, converted) for name in columns}
    unreadable = {name: there[name] & values[name].is_null() for name in columns}
    numbered = pl.DataFrame(values).with_row_index(ROW_NUMBER_COLUMN)
    good, details = _apply_rules(problem, batch, numbered)
    reasons = pl.concat([_empty_reasons(), *_list_reasons(problem, numbered, details, unreadable)])
    rejected = reasons.group_by(ROW_NUMBER_COLUMN).agg(BROKEN_RULES_COLUMN).sort(ROW_NUMBER_COLUMN)
    return CheckedRows(
        good.filter(~pl.col(ROW_NUMBER_COLUMN).is_in(rejected[ROW_NUMBER_COLUMN].implode())).drop(ROW_NUMBER_COLUMN),
        rejected,
        dict(reasons.group_by(BROKEN_RULES_COLUMN, maintain_order=True).len().iter_rows()),
        [
            _describe_fault(problem, name, dtype, converted[name].filter(there[name])[0])
            for name, dtype in columns.items()
            if there[name].any() and unreadable[name].equals(there[name])
        ],
    )


def _apply_conversions(
    problem: Problem, batch: str, rows: pl.DataFrame, conversions: Sequence[pl.Expr]
) -> pl.DataFrame:
    try:
        return rows.with_columns(conversions)
    except Exception as error:  # whatever the user's expressions do
        raise BatchRefused(
            f"batch {batch} refused: CONVERSIONS of {name_source_file(problem)} fail: {describe_error(error)}; "
            "a conversion with strict=False has unreadable values quarantined"
        ) from error


def _apply_rules(problem: Problem, batch: str, numbered: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that keep the contract; of the others, what each rule says."""
    labelled = problem.schema.Labelled
    try:
        good, failure = _number_rows(labelled).filter(numbered)
        return good, failure.details()
    except Exception as error:  # whatever the user's rules do
        reasons = "; ".join(find_failing_rules(labelled, numbered)) or describe_error(error)
        raise BatchRefused(
            f"batch {batch} refused: {reasons}; a rule has to give true or false for any row (strict=False gives null)"
        ) from error


def _convert(values: pl.Series, dtype: Any) -> pl.Series:
    try:
        return convert_column(values, dtype)
    except Inconvertible:
        return pl.Series([None], dtype=dtype).new_from_index(0, len(values))


def _find_given_values(
    conversions: Sequence[pl.Expr], name: str, rows: pl.DataFrame, converted: pl.DataFrame
) -> pl.Series:
    """Where there was a value: in the column as it arrived, or in all that a conversion makes it from."""
    if name in rows.columns:
        return rows[name].is_not_null() | converted[name].is_not_null()
    made = [each.meta for each in conversions if not each.meta.has_multiple_outputs()]
    sources = [source for meta in made if meta.output_name() == name for source in meta.root_names()]
    if not sources:
        return converted[name].is_not_null()
    return rows.select(pl.all_horizontal(pl.col(sources).is_not_null())).to_series()


def _number_rows(labelled: type[dy.Schema]) -> Any:
    """The contract with a column for the rows' numbers."""
    number = {ROW_NUMBER_COLUMN: dy.UInt32(nullable=False), "__module__": __name__}
    return type(labelled.__name__, (labelled,), number)


def _list_reasons(
    problem: Problem, numbered: pl.DataFrame, details: pl.DataFrame, unreadable: RowMasks
) -> Iterator[pl.DataFrame]:
    """The rows that break a rule, for each rule; what else a column's rules say of an unreadable value isn't so."""
    numbers, key = numbered[ROW_NUMBER_COLUMN], problem.schema.Labelled.primary_key()
    for rule in details.columns[numbered.width :] if details.height else ():
        columns = key if rule == KEY_RULE else [name for name in unreadable if rule.startswith(f"{name}|")]
        said = details.filter(details[rule] == "invalid")[ROW_NUMBER_COLUMN]
        for column in columns:
            said = said.filter(~said.is_in(numbers.filter(unreadable[column]).implode()))
        yield _name_reason(said, rule)
    for column in (name for name, mask in unreadable.items() if mask.any()):
        yield _name_reason(numbers.filter(unreadable[column]), f"{column}|{UNREADABLE_RULE}")


def _name_reason(numbers: pl.Series, rule: str) -> pl.DataFrame:
    return pl.DataFrame({ROW_NUMBER_COLUMN: numbers.cast(pl.UInt32)}).with_columns(
        pl.lit(rule).alias(BROKEN_RULES_COLUMN)
    )


def _empty_reasons() -> pl.DataFrame:
    return pl.DataFrame(schema={ROW_NUMBER_COLUMN: pl.UInt32, BROKEN_RULES_COLUMN: pl.String})


def _describe_fault(problem: Problem, name: str, dtype: Any, value: Any) -> str:
    return (
        f"no value of {name} can be read, the first is {quote_value(value)}: expected {describe_dtype(dtype)}; "
        f"convert the column in CONVERSIONS of {name_source_file(problem)}"
    )
