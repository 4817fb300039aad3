"""A query of a database as a source: DuckDB, and all that SQLAlchemy reaches, cut by periods of a time column."""

import datetime as dt
import functools
import io
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from penumbra.core.text.quoting import list_names, quote_value
from penumbra.sources.databases import Database, open_database
from penumbra.sources.parquet_tables import read_parquet_table
from penumbra.sources.periods import PeriodBatch, build_batch, build_period_start, check_period, parse_period
from penumbra.sources.times import TimeColumn

ROWS_FILE = "rows.parquet"


@dataclass(frozen=True)
class SqlQuery:
    """The rows of a query, cut into batches by periods of a time column.

    The database is asked for one period at a time. A row whose time is null is in no batch. The rows are kept as
    Parquet, sorted, so that the same rows give the same bytes in whatever order the database has them.

    Args:
        url: "duckdb:///shop.duckdb" (from the project's folder); "duckdb://" for queries over files alone, such as
            `select * from 'orders/*.parquet'`; or an SQLAlchemy URL, such as
            "postgresql://analyst:${SHOP_PASSWORD}@db.example.com/shop", in which `${NAME}` is an environment variable.
        query: A `select`, in any order.
        time: The column of its result with the time of the event, `TIME` of `problem/schema.py`: a timestamp, a date,
            or text that begins with a date such as 2024-03-01.
        period: "day", "week", "month", "quarter" or "year".
        time_zone: The zone of times without an offset, such as "Europe/Berlin", whose calendar periods go by; `parse`
            then gives moments, so that the contract's column needs a time zone, too. None: times without an offset
            stay so, and periods of those with one go by UTC.
    """

    url: str
    query: str
    _: KW_ONLY
    time: str
    period: str = "month"
    time_zone: str | None = None

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: The period isn't one.
        """
        check_period(self.period)

    def batches(self) -> list[PeriodBatch]:
        """List the batches.

        Returns:
            Those of all periods from the first row's to the last one's, each complete on the first day after it.

        Raises:
            ConnectionError: The database can't be reached, refuses the login, or an environment variable isn't set.
            FileNotFoundError: The file of the database isn't there.
            ValueError: The query fails, or its result has no such column or no time in it.
        """
        with open_database(self.url) as database:
            bounds = self._read_bounds(database)
        days = self._find_days(bounds)
        if days is None:
            return []
        dates = pl.date_range(*days, "1d", eager=True).to_frame("day")
        firsts = dates.select(build_period_start(pl.col("day"), self.period).unique().sort()).to_series()
        return [build_batch(first, self.period) for first in firsts]

    def fetch(self, batch: str) -> dict[str, bytes]:
        """Fetch the rows of a batch.

        Args:
            batch: Its name.

        Returns:
            One Parquet file, `rows.parquet`, without rows if the period has none.

        Raises:
            ConnectionError: The database can't be reached, refuses the login, or an environment variable isn't set.
            FileNotFoundError: The file of the database isn't there.
            ValueError: The query fails, or there is no period of that name.
        """
        first = parse_period(batch, self.period)
        with open_database(self.url) as database:
            column = database.quote_name(self.time)
            limits = {"start": first, "stop": build_batch(first, self.period).complete}
            within = f"q.{column} >= {database.marker}start AND q.{column} < {database.marker}stop"
            query = f"SELECT * FROM (\n{self._embed(database)}\n) q WHERE {within}"
            rows = database.read_table(query, {name: self._convert(day) for name, day in limits.items()})
        target = io.BytesIO()
        rows.sort([name for name, kind in rows.schema.items() if not kind.is_nested()]).write_parquet(target)
        return {ROWS_FILE: target.getvalue()}

    def parse(self, files: Mapping[str, bytes]) -> pl.DataFrame:
        """Read the rows of a batch.

        Args:
            files: What `fetch` returned.

        Returns:
            The rows, of the dtypes that the database gave; text times in ISO 8601.

        Raises:
            ValueError: The file is missing or can't be read.
        """
        if ROWS_FILE not in files:
            raise ValueError(f"file {ROWS_FILE} is missing; the batch has {list_names(files)}")
        rows = read_parquet_table(files[ROWS_FILE], ROWS_FILE)
        if self.time not in (columns := rows.collect_schema()):
            raise ValueError(f"{ROWS_FILE} has no column {self.time!r}: expected one of {list_names(columns)}")
        time = TimeColumn(self.time, None, self.time_zone)
        return rows.with_columns(time.build_expression(columns[self.time])).collect()

    def _embed(self, database: Database) -> str:
        return database.embed_query(self.query.strip().removesuffix(";"))

    def _read_bounds(self, database: Database) -> pl.Series:
        """The earliest and the latest time as the database has them; two nulls where there are no rows."""
        column = database.quote_name(self.time)
        query = f"SELECT MIN(q.{column}) AS earliest, MAX(q.{column}) AS latest FROM (\n{self._embed(database)}\n) q"
        found = database.read_table(query, {})
        return pl.concat([found["earliest"], found["latest"].alias("earliest")])

    def _find_days(self, bounds: pl.Series) -> tuple[dt.date, dt.date] | None:
        """The first and the last day; None where there are no rows."""
        if not bounds.drop_nulls().len():
            return None
        if bounds.dtype == pl.String:  # compared as text by the database, so by the date as it is written
            days = bounds.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        else:
            days = TimeColumn(self.time, None, self.time_zone).find_days(bounds)
        if days.null_count():
            raise ValueError(
                f"the column {quote_value(self.time)} of the query has values from {quote_value(bounds[0])} to "
                f"{quote_value(bounds[1])}: expected timestamps, dates, or text such as 2024-03-01T12:00:00 between "
                "1700 and 2199; cast it in the query, or leave such rows out there"
            )
        return days[0], days[1]

    @functools.cached_property
    def _time_dtype(self) -> pl.DataType:
        with open_database(self.url) as database:
            return self._read_bounds(database).dtype

    def _convert(self, day: dt.date) -> Any:
        """The beginning of a day as the database compares it with the column."""
        dtype = self._time_dtype
        if isinstance(dtype, pl.Datetime):
            zone = ZoneInfo(self.time_zone or "UTC") if dtype.time_zone else None
            return dt.datetime.combine(day, dt.time(), zone)
        return day.isoformat() if dtype == pl.String else day
