"""The kinds of checks between columns, which `CHECKS` of `problem/schema.py` composes."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.features.kinds import Record, select_column


@dataclass(frozen=True)
class ValidClock:
    """The integer hhmm is a time of day: minutes below 60."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    @property
    def expectation(self) -> str:
        """The expectation in words, for the client whose record breaks it."""
        return f"{self.column} is a clock time hhmm with minutes below 60"

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Boolean: whether the check holds, null for missing.
        """
        return select_column(self.column) % 100 < 60

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
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column, self.other)

    @property
    def expectation(self) -> str:
        """The expectation in words, for the client whose record breaks it."""
        return f"{self.column} is at most {self.other}"

    def expr(self) -> pl.Expr:
        """Build the form for frames.

        Returns:
            An expression on the contract's columns, of dtype Boolean: whether the check holds, null for missing.
        """
        return select_column(self.column) <= select_column(self.other)

    def scalar(self, record: Record) -> bool:
        """Check one record.

        Args:
            record: Python values by column.

        Returns:
            Whether the check holds; true where a value is missing.
        """
        left, right = record[self.column], record[self.other]
        if left is None or right is None:
            return True
        if left.__class__ is dt.datetime:
            return _drop_zone(left) <= _drop_zone(right)
        return bool(left <= right)


ColumnCheck = ValidClock | NotAbove


def _drop_zone(instant: Any) -> Any:
    """Return an instant in UTC: Python compares two times of one zone by their clocks, which show an hour twice."""
    return instant if instant.tzinfo is None else instant.astimezone(dt.UTC)
