"""The kinds of features and of checks between columns, which `problem/features.py` and `problem/schema.py` compose.

Each kind is one definition with two forms that must agree: `expr()` works on whole frames, `scalar` on one record (a
dict of Python values), where polars' 150 µs would be most of an answer's time. Property tests hold the two forms equal.

Numbers are float64 with NaN for "missing"; categories become integer codes, -1 for "missing or never seen".
"""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl

MISSING_NUMBER = math.nan
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Number:
    """The value of a numeric column."""

    column: str
    categorical: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return self.column

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        return pl.col(self.column).cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
        """Build the form for records.

        Returns:
            A function from a record to a float, NaN for missing.
        """
        column = self.column
        return lambda record: MISSING_NUMBER if (value := record[column]) is None else float(value)


@dataclass(frozen=True)
class Category:
    """A column of strings.

    The codes come from the table of values seen in training (see penumbra/core/encoding.py).
    """

    column: str
    categorical: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return self.column

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype String; null is missing.
        """
        return pl.col(self.column).cast(pl.String)

    def scalar(self) -> Callable[[Record], str | None]:
        """Build the form for records.

        Returns:
            A function from a record to the value, None for missing.
        """
        column = self.column
        return lambda record: record[column]


@dataclass(frozen=True)
class ClockMinutes:
    """Minutes since midnight of a clock time written as the integer hhmm (1745 is 1065)."""

    column: str
    categorical: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return f"{self.column}_minutes"

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        clock = pl.col(self.column)
        return (clock // 100 * 60 + clock % 100).cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
        """Build the form for records.

        Returns:
            A function from a record to a float, NaN for missing.
        """
        column = self.column

        def minutes(record: Record) -> float:
            clock = record[column]
            return MISSING_NUMBER if clock is None else float(clock // 100 * 60 + clock % 100)

        return minutes


@dataclass(frozen=True)
class Weekday:
    """Day of the week, Monday 1 to Sunday 7, of an instant, in the named time zone."""

    column: str
    zone: str
    categorical: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return f"{self.column}_weekday"

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        return pl.col(self.column).dt.convert_time_zone(self.zone).dt.weekday().cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
        """Build the form for records.

        Returns:
            A function from a record to a float, NaN for missing.
        """
        column, zone = self.column, ZoneInfo(self.zone)

        def weekday(record: Record) -> float:
            instant: dt.datetime | None = record[column]
            return MISSING_NUMBER if instant is None else float(instant.astimezone(zone).isoweekday())

        return weekday


@dataclass(frozen=True)
class Difference:
    """`column` minus `other`; missing where either is."""

    column: str
    other: str
    categorical: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return f"{self.column}_minus_{self.other}"

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        return pl.col(self.column).cast(pl.Float64) - pl.col(self.other).cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
        """Build the form for records.

        Returns:
            A function from a record to a float, NaN for missing.
        """
        column, other = self.column, self.other

        def difference(record: Record) -> float:
            left, right = record[column], record[other]
            return MISSING_NUMBER if left is None or right is None else float(left) - float(right)

        return difference


@dataclass(frozen=True, eq=False)
class Expression:
    """Any other numeric polars expression on the columns of `schema`, at polars' price for a single record (150 µs)."""

    name: str
    expression: pl.Expr
    schema: type[dy.Schema]
    categorical: ClassVar[bool] = False

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        return self.expression.cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
        """Build the form for records.

        Returns:
            A function from a record to a float, NaN for missing.
        """
        columns = self.schema.columns()
        dtypes = {name: columns[name].dtype for name in self.expression.meta.root_names()}

        def value(record: Record) -> float:
            row = pl.DataFrame({name: [record[name]] for name in dtypes}, schema=dtypes)
            return _none_to_nan(row.select(self.expr()).item())

        return value

    def __repr__(self) -> str:
        return f"Expression(name={self.name!r}, expression={self.expression})"


Feature = Number | Category | ClockMinutes | Weekday | Difference | Expression


@dataclass(frozen=True)
class ValidClock:
    """The integer hhmm is a time of day: minutes below 60."""

    column: str

    @property
    def expectation(self) -> str:
        """The expectation in words, for the client whose record breaks it."""
        return f"{self.column} is a clock time hhmm with minutes below 60"

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Boolean: whether the check holds, null for missing.
        """
        return pl.col(self.column) % 100 < 60

    def scalar(self, record: Record) -> bool:
        """Check one record.

        Args:
            record: Python values by column.

        Returns:
            Whether the check holds; true where a value is missing.
        """
        return (clock := record[self.column]) is None or clock % 100 < 60


@dataclass(frozen=True)
class NotAbove:
    """`column` is at most `other`; holds where either is missing."""

    column: str
    other: str

    @property
    def expectation(self) -> str:
        """The expectation in words, for the client whose record breaks it."""
        return f"{self.column} is at most {self.other}"

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Boolean: whether the check holds, null for missing.
        """
        return pl.col(self.column) <= pl.col(self.other)

    def scalar(self, record: Record) -> bool:
        """Check one record.

        Args:
            record: Python values by column.

        Returns:
            Whether the check holds; true where a value is missing.
        """
        left, right = record[self.column], record[self.other]
        return left is None or right is None or left <= right


ColumnCheck = ValidClock | NotAbove


def _none_to_nan(value: float | None) -> float:
    return MISSING_NUMBER if value is None else value
