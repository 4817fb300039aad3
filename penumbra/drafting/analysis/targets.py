"""The target: whether it is yes or no, one of several classes, or a number, and whether it can be learnt at all."""

from collections.abc import Mapping

import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import escape_text, list_beginning, quote_value
from penumbra.drafting.draft import DraftRefused, DraftTarget
from penumbra.drafting.reading.profiles import ColumnProfile
from penumbra.drafting.reading.readings import Reading
from penumbra.drafting.reading.tables import DataTable
from penumbra.drafting.reading.words import is_yes_word

MAX_CLASSES = 50
MIN_CLASS_ROWS = 10
FEW_CLASS_ROWS = 100  # below which a class is told
MIN_OUTCOMES = 30


def choose_target(
    table: DataTable, name: str, reading: Reading, profile: ColumnProfile
) -> tuple[DraftTarget, list[str]]:
    """Choose the task that a target asks for.

    Args:
        table: The table.
        name: The target's column.
        reading: How it is read.
        profile: What all rows say of it.

    Returns:
        The target, and notes about it.

    Raises:
        DraftRefused: Nothing can be learnt: there is one value, too few rows of one, or text without end.
    """
    column = f"the target {quote_value(name)}"
    if reading.is_left_out or isinstance(reading.dtype, pl.Date | pl.Datetime | pl.Time):
        what = reading.reason if reading.is_left_out else "its values are dates or times"
        raise DraftRefused(f"{column} can't be predicted ({what}): expected yes or no, a class, or a number")
    if profile.read < MIN_OUTCOMES:
        raise DraftRefused(
            f"{column} is known in {format_count(profile.read, 'row')}: expected at least {MIN_OUTCOMES}"
        )
    counts = _count_values(table, reading)
    if len(counts) == 1:
        raise DraftRefused(f"{column} is {quote_value(next(iter(counts)))} in all rows: there is nothing to learn")
    notes = [_tell_missing(name, profile.missing)] if profile.missing else []
    if len(counts) == 2:
        return _choose_positive(name, counts), notes + _tell_rare(column, counts)
    if reading.dtype.is_numeric():
        return DraftTarget("number", name, reason=_describe_number(reading, counts)), notes
    if len(counts) > MAX_CLASSES:
        raise DraftRefused(
            f"{column} is text with {format_count(profile.distinct, 'different value')}: expected yes or no, "
            "a number, or at most "
            f"{MAX_CLASSES} classes"
        )
    return DraftTarget("classes", name), notes + _tell_rare(column, counts)


def _tell_missing(name: str, missing: int) -> str:
    rows = format_count(missing, "row has", "rows have")
    return f"{rows} no {quote_value(name)}: kept, and not learnt from"


def _count_values(table: DataTable, reading: Reading) -> Mapping[object, int]:
    """Rows by value, the commonest first; of many values those that are too many already."""
    values = table.rows.select(value=reading.values).drop_nulls()
    counts = values.group_by("value").len(name="rows").sort("rows", "value", descending=[True, False])
    return dict(counts.head(MAX_CLASSES + 1).collect(engine="streaming").iter_rows())


def _choose_positive(name: str, counts: Mapping[object, int]) -> DraftTarget:
    """Yes is True or 1, the word that says so, or the rarer of two."""
    values = list(counts)
    if set(values) <= {True, False}:
        return DraftTarget("binary", name, next(value for value in values if value))
    if not any(isinstance(value, str) for value in values):
        return DraftTarget("binary", name, max(values), reason="the larger of two numbers is yes")  # type: ignore[type-var]
    if len(said := [value for value in values if is_yes_word(str(value))]) == 1:
        return DraftTarget("binary", name, said[0], reason=f"{quote_value(said[0])} is yes by its word")
    return DraftTarget("binary", name, values[-1], reason=f"{quote_value(values[-1])} is yes as the rarer of two")


def _describe_number(reading: Reading, counts: Mapping[object, int]) -> str:
    if reading.dtype.is_integer() and len(counts) <= MAX_CLASSES:
        return f"{len(counts)} whole numbers, predicted as a number; make text of them to predict classes"
    return ""


def _tell_rare(column: str, counts: Mapping[object, int]) -> list[str]:
    """Refuse a target of which hardly any row has one of two values, and tell rare classes."""
    rare = [value for value, rows in counts.items() if rows < MIN_CLASS_ROWS]
    if len(counts) - len(rare) < 2:
        values = _list_counts({value: counts[value] for value in rare})
        raise DraftRefused(
            f"{column} has too few rows of {values}: expected at least {MIN_CLASS_ROWS} of each of two values"
        )
    few = {value: rows for value, rows in counts.items() if rows < FEW_CLASS_ROWS}
    return [f"{column} has few rows of {_list_counts(few)}: scores will vary by chance"] if few else []


def _list_counts(counts: Mapping[object, int]) -> str:
    return list_beginning([f"{escape_text(value)} ({rows:,})" for value, rows in counts.items()])
