"""The rows that were rejected, by batch and rule, with an example of each."""

from contextlib import suppress
from typing import Any

import polars as pl

from penumbra.core.columns import (
    BATCH_COLUMN,
    BROKEN_RULES_COLUMN,
    COUNT_COLUMN,
    RESERVED_PREFIX,
    ROW_NUMBER_COLUMN,
)
from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import quote_value
from penumbra.data.batches import DataStore
from penumbra.data.flywheel_manifest import is_flywheel_batch
from penumbra.data.partitions.contract_rules import UNREADABLE_RULE
from penumbra.data.partitions.conversion import describe_dtype
from penumbra.data.source_reader import name_source_file
from penumbra.sources.row_reading import find_row_reading


def read_quarantine(data: DataSettings, problem: Problem) -> list[pl.DataFrame]:
    """Read the rejected rows.

    Args:
        data: Where the batches are.
        problem: The user's folder; its schema and source are needed.

    Returns:
        A frame for each batch with rejected rows, as `DataStore.quarantine` returns it.
    """
    store = DataStore(data, problem)
    return [frame for batch in store.batches() if (frame := store.quarantine(batch)).height]


def count_rejected_rows(rejected: list[pl.DataFrame]) -> dict[str, dict[str, int]]:
    """Count the rejected rows.

    Args:
        rejected: What `read_quarantine` returns.

    Returns:
        By batch and broken rule, the number of rows; a row may break several.
    """
    return {
        rows[BATCH_COLUMN][0]: dict(
            rows.explode(BROKEN_RULES_COLUMN).group_by(BROKEN_RULES_COLUMN, maintain_order=True).len().iter_rows()
        )
        for rows in rejected
    }


def describe_quarantine(rejected: list[pl.DataFrame], problem: Problem) -> str:
    """Describe the rejected rows.

    Args:
        rejected: What `read_quarantine` returns.
        problem: The user's folder; its schema and source are needed.

    Returns:
        A block for each batch, with a line for each rule: how many rows broke it, and the first of them as it arrived;
        of values that can't be read also what was expected.
    """
    if not rejected:
        return "The quarantine is empty: every row of every batch keeps the contract."
    return "\n\n".join(_format_batch(rows, problem) for rows in rejected)


def _format_batch(rows: pl.DataFrame, problem: Problem) -> str:
    rules = (
        rows.explode(BROKEN_RULES_COLUMN)
        .group_by(BROKEN_RULES_COLUMN, maintain_order=True)
        .agg(pl.len().alias(COUNT_COLUMN), pl.exclude(BROKEN_RULES_COLUMN).first())
    )
    converted = _find_converted_columns(rows, problem)
    sorted_rules = rules.sort(COUNT_COLUMN, descending=True).iter_rows(named=True)
    lines = [_format_rule(rule, problem, converted) for rule in sorted_rules]
    return "\n".join([f"{rows[BATCH_COLUMN][0]}: {format_count(rows.height, 'row')} rejected", *lines])


def _find_converted_columns(rows: pl.DataFrame, problem: Problem) -> set[str]:
    """The columns that CONVERSIONS make of these rows; those that were edited since may not fit them."""
    if is_flywheel_batch(rows[BATCH_COLUMN][0]):
        return set()
    made = set[str]()
    for conversion in problem.source.CONVERSIONS:
        with suppress(pl.exceptions.PolarsError):
            made.update(rows.lazy().select(conversion).collect_schema().names())
    return made


def _format_rule(rule: dict[str, Any], problem: Problem, converted: set[str]) -> str:
    broken, count, row = (rule[name] for name in (BROKEN_RULES_COLUMN, COUNT_COLUMN, ROW_NUMBER_COLUMN))
    values = {name: value for name, value in rule.items() if not name.startswith(RESERVED_PREFIX)}
    column, _, name = str(broken).rpartition("|")
    shown = {column: values[column]} if column in values else values
    first = ", ".join(f"{name} = {quote_value(value)}" for name, value in shown.items())
    expected = _describe_expectation(problem, column, converted) if name == UNREADABLE_RULE else ""
    return f"  {broken}: {format_count(count, 'row')}, the first is row {row} with {first}{expected}"


def _describe_expectation(problem: Problem, column: str, converted: set[str]) -> str:
    """What the values of a column are read as: the source's time by its format, others as the contract has them."""
    time, columns = find_row_reading(problem).time, problem.schema.Labelled.columns()
    if time and time.name == column:
        return f": expected {time.describe_expectation()}" + (" (time_format)" if time.format else "")
    if column not in columns:
        return ": the contract has no such column any more"
    by = f", by CONVERSIONS of {name_source_file(problem)}" if column in converted else ""
    return f": expected {describe_dtype(columns[column].dtype)}{by}"
