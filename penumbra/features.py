"""The kinds of model input, and of rules between columns. Each kind is one definition with two forms that must agree:
`expr()` works on whole frames, `scalar(record)` on one record (a dict of Python values), where polars' 150 µs would be
most of an answer's time. `problem/` composes them; property tests hold the two forms equal.

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
    """A numeric column as it is."""

    column: str
    categorical: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return self.column

    def expr(self) -> pl.Expr:
        return pl.col(self.column).cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
        column = self.column
        return lambda record: MISSING_NUMBER if (value := record[column]) is None else float(value)


@dataclass(frozen=True)
class Category:
    """A column of strings. The codes are given by the table of values seen in training (see `inputs.Inputs`)."""

    column: str
    categorical: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.column

    def expr(self) -> pl.Expr:
        return pl.col(self.column).cast(pl.String)

    def scalar(self) -> Callable[[Record], str | None]:
        column = self.column
        return lambda record: record[column]


@dataclass(frozen=True)
class ClockMinutes:
    """Minutes since midnight of a clock time written as the integer hhmm (1745 is 1065)."""

    column: str
    categorical: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"{self.column}_minutes"

    def expr(self) -> pl.Expr:
        clock = pl.col(self.column)
        return (clock // 100 * 60 + clock % 100).cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
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
        return f"{self.column}_weekday"

    def expr(self) -> pl.Expr:
        return pl.col(self.column).dt.convert_time_zone(self.zone).dt.weekday().cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
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
        return f"{self.column}_minus_{self.other}"

    def expr(self) -> pl.Expr:
        return pl.col(self.column).cast(pl.Float64) - pl.col(self.other).cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
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
        return self.expression.cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
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
        return f"{self.column} is a clock time hhmm with minutes below 60"

    def expr(self) -> pl.Expr:
        return pl.col(self.column) % 100 < 60

    def scalar(self, record: Record) -> bool:
        return (clock := record[self.column]) is None or clock % 100 < 60


@dataclass(frozen=True)
class NotAbove:
    """`column` is at most `other`; holds where either is missing."""

    column: str
    other: str

    @property
    def expectation(self) -> str:
        return f"{self.column} is at most {self.other}"

    def expr(self) -> pl.Expr:
        return pl.col(self.column) <= pl.col(self.other)

    def scalar(self, record: Record) -> bool:
        left, right = record[self.column], record[self.other]
        return left is None or right is None or left <= right


ColumnCheck = ValidClock | NotAbove


def _none_to_nan(value: float | None) -> float:
    return MISSING_NUMBER if value is None else value
