"""What all rows of a table say of its columns, in one streamed pass: ranges, missing and unreadable values, words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.drafting.draft import DraftRefused
from penumbra.drafting.reading.readings import Reading
from penumbra.drafting.reading.tables import DataTable, describe_unreadable_rows

MAX_LISTED_WORDS = 200  # different texts of a column in the sample, up to which those of all rows are listed
MAX_TIMELESS_SHARE = 0.01  # of the rows, which a time column may leave without a time
MAX_COUNTED_ROWS = 1_000_000  # up to which different values are counted, and not estimated
PASS_COLUMNS = 100  # that are profiled in one pass


@dataclass(frozen=True)
class ColumnProfile:
    """What all rows say of a column.

    Attributes:
        rows: How many rows there are.
        given: How many of them have a value.
        read: How many of these are of the column's dtype.
        minimum: The least value; None without any, and of text.
        maximum: The greatest one.
        distinct: How many different values there are; about so many of a large table.
        max_length: The most characters of a text; 0 of other dtypes.
        words: The different texts, sorted; None where there may be more than `MAX_LISTED_WORDS`.
    """

    rows: int
    given: int
    read: int
    minimum: Any = None
    maximum: Any = None
    distinct: int = 0
    max_length: int = 0
    words: tuple[str, ...] | None = None

    @property
    def missing(self) -> int:
        """The number of rows without a value."""
        return self.rows - self.given

    @property
    def unreadable(self) -> int:
        """The number of values that are not of the dtype."""
        return self.given - self.read


def is_nearly_full(profile: ColumnProfile) -> bool:
    """Tell whether about every row has a value of the column's dtype.

    Args:
        profile: What all rows say of the column.

    Returns:
        Whether at most one row of a hundred lacks it.
    """
    return profile.rows - profile.read <= MAX_TIMELESS_SHARE * profile.rows


def profile_columns(
    table: DataTable, readings: Mapping[str, Reading], listed: Sequence[str], total: int
) -> dict[str, ColumnProfile]:
    """Profile columns over all rows of a table.

    Args:
        table: The table.
        readings: How each column is read, by its name.
        listed: The columns of text of which the different values are listed.
        total: How many rows the table has.

    Returns:
        The profile of each column, by its name.

    Raises:
        DraftRefused: The table can't be read to its end.
    """
    names, found = [*readings], dict[str, ColumnProfile]()
    for start in range(0, len(names), PASS_COLUMNS):
        part = {column: readings[column] for column in names[start : start + PASS_COLUMNS]}
        try:
            found |= _profile_part(table, part, listed, total <= MAX_COUNTED_ROWS)
        except pl.exceptions.PolarsError as error:
            raise DraftRefused(describe_unreadable_rows(table, error)) from error
    return found


def _profile_part(
    table: DataTable, readings: Mapping[str, Reading], listed: Sequence[str], is_counted: bool
) -> dict[str, ColumnProfile]:
    """Columns are called by their numbers, since aggregates of all of them stand side by side."""
    numbered = [*enumerate(readings.items())]
    values = [reading.values.alias(f"{n}") for n, (_, reading) in numbered]
    given = [pl.col(name).is_not_null().alias(f"{n}|given") for n, (name, _) in numbered]
    sums = [each for n, (name, reading) in numbered for each in _list_sums(n, reading.dtype, name in listed)]
    sums += [_count_distinct(f"{n}", reading.dtype, is_counted) for n, (_, reading) in numbered]
    row = table.rows.select(*values, *given).select(pl.len().alias("rows"), *sums).collect(engine="streaming")
    found = row.row(0, named=True)
    return {name: _build_profile(found, n) for n, (name, _) in numbered}


def _list_sums(number: int, dtype: pl.DataType, is_listed: bool) -> list[pl.Expr]:
    column = pl.col(f"{number}")
    sums = [pl.col(f"{number}|given").sum(), column.count().alias(f"{number}|read")]
    if dtype == pl.String:
        sums.append(column.str.len_chars().max().alias(f"{number}|max_length"))
    else:
        sums += [column.min().alias(f"{number}|minimum"), column.max().alias(f"{number}|maximum")]
    return [*sums, column.unique().implode().alias(f"{number}|words")] if is_listed else sums


def _count_distinct(name: str, dtype: pl.DataType, is_counted: bool) -> pl.Expr:
    """Exactly where the rows are few; of a Boolean the estimate is none."""
    values = pl.col(name).drop_nulls()
    is_counted = is_counted or dtype == pl.Boolean
    return (values.n_unique() if is_counted else values.approx_n_unique()).alias(f"{name}|distinct")


def _build_profile(found: Mapping[str, Any], number: int) -> ColumnProfile:
    own = {key.partition("|")[2]: value for key, value in found.items() if key.partition("|")[0] == f"{number}"}
    words = own.pop("words", None)
    told = None if words is None else tuple(sorted(word for word in words if word is not None))
    kept = told if told is not None and len(told) <= MAX_LISTED_WORDS else None
    return ColumnProfile(found["rows"], words=kept, **{key: value for key, value in own.items() if value is not None})
