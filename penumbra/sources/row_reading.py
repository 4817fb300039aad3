"""How rows of other tables are read as a source reads its own: their layout, their time, and `CONVERSIONS`."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from penumbra.core.problem import Problem
from penumbra.sources.tables.csv_tables import CsvLayout
from penumbra.sources.times.named_dates import find_named_date
from penumbra.sources.times.time_column import TimeColumn


@dataclass(frozen=True)
class RowReading:
    """How rows of tables are read that don't come from the source, such as those that are to be scored.

    Attributes:
        layout: How CSV files are written.
        encoding: Their encoding.
        time: The time column; None leaves all columns as they are.
        has_dated_names: Whether the date in a file's name is the time of its rows.
        has_made_up_days: Whether the source makes up the days of its rows, so that other rows have no time either.
        conversions: `CONVERSIONS` of `problem/source.py`.
        has_query: Whether a query gives the source's rows, so that it may make columns that other tables lack.
        has_own_parse: Whether the source's rows go through a `parse()` of `problem/source.py`, and so may its columns.
    """

    layout: CsvLayout = field(default_factory=CsvLayout)
    encoding: str = "utf-8"
    time: TimeColumn | None = None
    has_dated_names: bool = False
    has_made_up_days: bool = False
    conversions: Sequence[pl.Expr] = ()
    has_query: bool = False
    has_own_parse: bool = False

    def read(self, rows: pl.DataFrame, name: str, dtypes: Mapping[str, pl.DataType], now: dt.datetime) -> pl.DataFrame:
        """Read rows as the source does.

        Args:
            rows: Rows as they arrived; layout and encoding are dealt with.
            name: The name of their table.
            dtypes: The contract's dtype of each column of a batch. Columns that aren't text stay as they are where
                they have its kind.
            now: The time of rows without a time column, where the source makes up the days of its own.

        Returns:
            The same rows, as text or of the contract's dtypes; with a time column, where the source makes it.

        Raises:
            ValueError: The name has no date that is the rows' time.
        """
        return self._convert(self._add_time(rows, name, now), dtypes)

    def _add_time(self, rows: pl.DataFrame, name: str, now: dt.datetime) -> pl.DataFrame:
        if self.time is None:
            return rows
        if self.time.name in rows.columns:
            return rows.with_columns(self.time.normalize(rows[self.time.name]))
        if not (self.has_dated_names or self.has_made_up_days):
            return rows
        place = now if self.time.zone else now.replace(tzinfo=None)
        written = find_named_date(name)[0].isoformat() if self.has_dated_names else place.isoformat()
        said = TimeColumn(self.time.name, None, self.time.zone).normalize(pl.Series([written])).item()
        return rows.with_columns(pl.lit(said).alias(self.time.name))

    def _convert(self, rows: pl.DataFrame, dtypes: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """Apply the conversions, which may name columns that a table doesn't have, such as the outcome."""
        if not self.conversions:
            return rows
        kept = [name for name, dtype in rows.schema.items() if name in dtypes and _is_read(dtype, dtypes[name])]
        absent = [name for name in dtypes if name not in rows.columns]
        texts = rows.with_columns(pl.lit(None, pl.String).alias(name) for name in [*kept, *absent])
        converted = texts.with_columns(self.conversions).with_columns(rows.select(kept))
        return converted.drop(name for name in absent if converted[name].null_count() == rows.height)


def find_row_reading(problem: Problem) -> RowReading:
    """Find how rows are read that don't come from a problem's source.

    Args:
        problem: The problem.

    Returns:
        As its `SOURCE` reads its own, with its `CONVERSIONS`, but for what a `parse()` that stands there does to a
        batch; as they are written where `fetch()` is a function of its own, too, or the source isn't loaded.
    """
    source = getattr(problem, "source", None)
    for name in ("parse", "fetch"):
        reading = getattr(getattr(getattr(source, name, None), "__self__", None), "row_reading", None)
        if reading:
            return replace(reading, conversions=tuple(problem.source.CONVERSIONS), has_own_parse=name != "parse")
    return RowReading()


def _is_read(dtype: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a column has the kind of values that the contract wants already; numbers may stand for times."""
    return dtype != pl.String and not (wanted.is_temporal() and dtype.is_numeric())
