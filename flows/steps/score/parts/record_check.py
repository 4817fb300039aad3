"""The check of rows to be scored against the contract of requests: the same rows are accepted as over HTTP."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from penumbra.core.columns import BROKEN_RULES_COLUMN, ROW_NUMBER_COLUMN
from penumbra.core.problem import ProblemSchema
from penumbra.core.text.errors import describe_error
from penumbra.core.text.quoting import list_names
from penumbra.data.partitions.contract_rules import UNREADABLE_RULE, list_record_rules
from penumbra.data.partitions.conversion import convert_columns
from penumbra.sources.row_reading import RowReading
from penumbra.sources.tables.csv_tables import suggest_separator

MAKING_QUERY = (
    "; the source's rows come from a query: where it makes a column, score a query that makes such a column, too"
)
OWN_PARSE = (
    "; parse() of problem/source.py is for batches: where it makes or renames a column, expected the table to have "
    "that column, or CONVERSIONS to make it"
)


class RowsRefused(ValueError):
    """Rows can't be checked at all: a column is missing, or a rule of the contract fails; says which."""


class CheckedRecords(NamedTuple):
    """Rows after the check.

    Attributes:
        good: The rows that keep the contract, with its columns and dtypes.
        numbers: The number of each of them in the table, int64 [n] (Int64).
        rejected: The others: their number, the rules that they break (List(String)), and their values as they arrived.
        broken: How many rows break the contract in which column, by its name, or by that of a rule.
        missing: The columns of the contract that the table doesn't have; they are null.
        unread: The columns of the table that nothing reads.
    """

    good: pl.DataFrame
    numbers: pl.Series
    rejected: pl.DataFrame
    broken: Mapping[str, int]
    missing: Sequence[str]
    unread: Sequence[str]


class RecordCheck:
    """The contract of requests for frames: columns that may be null may be missing, other ones are ignored."""

    def __init__(self, schema: ProblemSchema, reading: RowReading) -> None:
        """Check by `Row` and CHECKS of the problem's schema; keys may repeat, as requests may.

        Args:
            schema: The problem's schema.
            reading: How rows become the text and the values that the contract reads.
        """
        columns = schema.Row.columns()
        self._reading = reading
        self._source_dtypes = {name: column.dtype for name, column in schema.Labelled.columns().items()}
        self._dtypes = {name: column.dtype for name, column in columns.items()}
        self._read_columns = {
            *self._source_dtypes,
            *(name for each in reading.conversions for name in each.meta.root_names()),
        }
        self._nullable = {name for name, column in columns.items() if column.nullable}
        self._rules = dict(list_record_rules(schema.Row))
        stated = {str(rule): name for name, rule in self._rules.items()}
        self._columns = {name: name.partition("|")[0] for name in self._rules}
        for check in schema.CHECKS:
            name = stated.get(str(check.expr()), f"{check.column}|check")
            self._rules[name], self._columns[name] = check.expr(), check.column

    def check(self, rows: pl.DataFrame, first: int, name: str, now: dt.datetime) -> CheckedRecords:
        """Convert rows to the contract's dtypes and check them.

        Args:
            rows: Rows as they arrived.
            first: The number of the first one.
            name: What errors call the table.
            now: The time of rows that have none, where the problem's source makes up the days of its own.

        Returns:
            The rows that keep the contract, and the others with their reasons.

        Raises:
            RowsRefused: A column is missing, or a rule fails.
        """
        read = self._read(rows, name, now)
        missing = [column for column in self._dtypes if column not in read.columns]
        if lost := [column for column in missing if column not in self._nullable]:
            found = list_names(rows.columns) + suggest_separator(rows.columns)
            found += MAKING_QUERY if self._reading.has_query else ""
            found += OWN_PARSE if self._reading.has_own_parse else ""
            raise RowsRefused(f"{name} has no column {list_names(lost)}; it has {found}")
        unread = [column for column in rows.columns if column not in self._read_columns]
        given = read.with_columns(pl.lit(None).alias(column) for column in missing)
        values = convert_columns(given, self._dtypes)
        given = given.with_columns(rows.select(each for each in self._dtypes if each in rows.columns))
        numbers = pl.int_range(first, first + rows.height, dtype=pl.Int64, eager=True).alias(ROW_NUMBER_COLUMN)
        faults = self._find_faults(given, values, name)
        if not faults:
            return CheckedRecords(values, numbers, _name_rejected(numbers, {}, rows), {}, missing, unread)
        is_bad = pl.select(pl.any_horizontal(*faults.values())).to_series()
        rejected = _name_rejected(numbers, faults, rows).filter(is_bad)
        good, numbers = values.filter(~is_bad), numbers.filter(~is_bad)
        return CheckedRecords(good, numbers, rejected, self._count_broken(faults), missing, unread)

    def _read(self, rows: pl.DataFrame, name: str, now: dt.datetime) -> pl.DataFrame:
        try:
            return self._reading.read(rows, name, self._source_dtypes, now)
        except pl.exceptions.PolarsError as error:
            said = f"CONVERSIONS of problem/source.py fail for {name}: {describe_error(error)}"
            raise RowsRefused(f"{said}; expected a table that is written as those of the source") from error

    def _find_faults(self, given: pl.DataFrame, values: pl.DataFrame, name: str) -> dict[str, pl.Series]:
        """Which rows break which rule, of those that any row breaks; of an unreadable value, that it is one, alone."""
        unreadable = {
            column: mask
            for column in self._dtypes
            if values[column].null_count() and (mask := given[column].is_not_null() & values[column].is_null()).any()
        }
        try:
            kept = values.select(rule.fill_null(value=True).alias(name) for name, rule in self._rules.items())
        except Exception as error:  # whatever the user's rules do
            raise RowsRefused(f"a rule of the contract fails for {name}: {describe_error(error)}") from error
        faults = {rule.name: ~rule for rule in kept if not rule.all()}
        for rule in faults.keys() & {rule for rule, column in self._columns.items() if column in unreadable}:
            faults[rule] &= ~unreadable[self._columns[rule]]
        faults |= {f"{column}|{UNREADABLE_RULE}": mask for column, mask in unreadable.items()}
        return {rule: mask for rule, mask in faults.items() if mask.any()}

    def _count_broken(self, faults: Mapping[str, pl.Series]) -> dict[str, int]:
        columns: dict[str, pl.Series] = {}
        for rule, mask in faults.items():
            column = self._columns.get(rule, rule.partition("|")[0])
            columns[column] = columns[column] | mask if column in columns else mask
        return {column: int(mask.sum()) for column, mask in columns.items()}


def _name_rejected(numbers: pl.Series, faults: Mapping[str, pl.Series], rows: pl.DataFrame) -> pl.DataFrame:
    reasons = [pl.when(mask).then(pl.lit(rule)) for rule, mask in faults.items()]
    broken = pl.concat_list(reasons).list.drop_nulls() if reasons else pl.lit([], dtype=pl.List(pl.String))
    named = pl.DataFrame(numbers).with_columns(broken.alias(BROKEN_RULES_COLUMN))
    return pl.concat([named if faults else named.clear(), rows if faults else rows.clear()], how="horizontal")
