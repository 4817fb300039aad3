"""The kinds of features whose form for single records is plain Python."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl

MISSING_NUMBER = math.nan
# Before and after, the zones of Python and of polars differ: in old local times, and in summer times far ahead.
YEARS_OF_EQUAL_ZONES = range(1971, 2100)
Record = Mapping[str, Any]


def select_column(name: str) -> pl.Expr:
    """Select a column by its exact name.

    Args:
        name: Any name; `pl.col` takes one like "^a.*b$" for a pattern.

    Returns:
        An expression, whose `meta.root_names()` doesn't know the column.
    """
    return pl.selectors.by_name(name).as_expr()


@dataclass(frozen=True)
class Number:
    """The value of a numeric column."""

    column: str
    categorical: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return self.column

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        return select_column(self.column).cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
        """Build the form for records.

        Returns:
            A function from a record to a float, NaN for missing.
        """
        column = self.column
        return lambda record: MISSING_NUMBER if (value := record[column]) is None else float(value)


@dataclass(frozen=True)
class Category:
    """A column of text, of whole numbers or of Booleans; 12 is the value "12", True is "true".

    The codes come from the table of values seen in training (see penumbra/core/encoding.py).
    """

    column: str
    categorical: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return self.column

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype String; null is missing.
        """
        return select_column(self.column).cast(pl.String)

    def scalar(self) -> Callable[[Record], str | None]:
        """Build the form for records.

        Returns:
            A function from a record to the value, None for missing.
        """
        column = self.column

        def text(record: Record) -> str | None:
            value = record[column]
            if value is None or value.__class__ is str:
                return value
            return str(value).lower()

        return text


@dataclass(frozen=True)
class ClockMinutes:
    """Minutes since midnight of a clock time written as the integer hhmm (1745 is 1065)."""

    column: str
    categorical: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return f"{self.column}_minutes"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        clock = select_column(self.column)
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
class _CalendarPart:
    """A number that calendar or clock show in a time zone: of an instant there, or of a date or clock of that zone.

    An instant is a time with a zone. A time without one, or a date, is what calendar and clock show in `zone`.
    """

    column: str
    zone: str
    categorical: ClassVar[bool] = False
    part: ClassVar[str]  # the name of polars' method

    @property
    def name(self) -> str:
        """The feature's name, which is the name of its column in the matrix."""
        return f"{self.column}_{self.part}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        column = pl.selectors.by_name(self.column)
        instants = column & pl.selectors.datetime(time_zone="*")  # one of the two selects nothing
        shown = instants.dt.convert_time_zone(self.zone), column - instants
        return pl.coalesce(*(getattr(times.dt, self.part)() for times in shown)).cast(pl.Float64)

    def scalar(self) -> Callable[[Record], float]:
        """Build the form for records.

        Returns:
            A function from a record to a float, NaN for missing.
        """
        column, zone, read = self.column, ZoneInfo(self.zone), self._read

        def number(record: Record) -> float:
            value: Any = record[column]
            if value is None:
                return MISSING_NUMBER
            if value.__class__ is dt.date or value.tzinfo is None:
                return float(read(value))
            if value.year in YEARS_OF_EQUAL_ZONES:
                return float(read(value.astimezone(zone)))
            return float(pl.DataFrame({column: [value]}).select(self.expr()).item())

        return number

    @staticmethod
    def _read(shown: Any) -> int:
        """The number of a Python date, time or datetime as calendar and clock show it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Weekday(_CalendarPart):
    """Day of the week, Monday 1 to Sunday 7, of a time or a date in a time zone."""

    part: ClassVar[str] = "weekday"

    @staticmethod
    def _read(shown: Any) -> int:
        return int(shown.isoweekday())


@dataclass(frozen=True)
class Hour(_CalendarPart):
    """Hour of the day, 0 to 23, of a time in a time zone, or of a time of day."""

    part: ClassVar[str] = "hour"

    @staticmethod
    def _read(shown: Any) -> int:
        return int(shown.hour)


@dataclass(frozen=True)
class Month(_CalendarPart):
    """Month, 1 to 12, of a time or a date in a time zone."""

    part: ClassVar[str] = "month"

    @staticmethod
    def _read(shown: Any) -> int:
        return int(shown.month)


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

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column, self.other)

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Float64; null is missing.
        """
        return select_column(self.column).cast(pl.Float64) - select_column(self.other).cast(pl.Float64)

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
