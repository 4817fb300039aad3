"""A query of a database as a source: DuckDB, and all that SQLAlchemy reaches, cut by periods of a time column."""

import datetime as dt
import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from penumbra.core.checks.type_checks import require_argument_types
from penumbra.core.text.quoting import list_names, quote_value
from penumbra.sources.databases import Database, drop_statement_end, open_database
from penumbra.sources.row_reading import RowReading
from penumbra.sources.tables.csv_tables import CsvLayout
from penumbra.sources.tables.parquet_tables import read_parquet_table
from penumbra.sources.times.periods import PeriodBatch, build_batch, build_period_start, check_period, parse_period
from penumbra.sources.times.time_column import TimeColumn

ROWS_FILE = "rows.parquet"
DAY_PATTERN = r"^(\d{4}-\d\d-\d\d)"
# As near as SQL comes to the pattern.
DAY_LIKES = [f"{{time}} NOT LIKE '____-__-__{rest}'" for rest in ("", " %", "T%")]
ONE_DAY = dt.timedelta(days=1)  # more than an offset from UTC, so the date of a text is at most so far from its day


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
            or text that begins with a date such as 2024-03-01; times of other forms are cast in the query.
        period: "day", "week", "month", "quarter" or "year".
        time_zone: The zone of times without an offset, such as "Europe/Berlin", whose calendar periods go by; `parse`
            then gives moments, so that the contract's column needs a time zone, too. None: times without an offset
            stay so, and periods of those with one go by UTC.
        null_words: The texts that stand for a missing value; "" is a value.
        has_made_up_days: Whether the query makes up the days, as its rows have no time of their own; overview and cards
            then say so.
    """

    url: str
    query: str
    _: KW_ONLY
    time: str
    period: str = "month"
    time_zone: str | None = None
    null_words: Sequence[str] = ("",)
    has_made_up_days: bool = False
    _column: TimeColumn = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option isn't one; names it and what was expected.
        """
        require_argument_types(self)
        check_period(self.period)
        object.__setattr__(self, "_column", TimeColumn(self.time, None, self.time_zone))

    @property
    def row_reading(self) -> RowReading:
        """The reading of rows of other tables.

        Returns:
            As those of the query; in CSV files an empty text stands for a missing value, too.
        """
        words = dict.fromkeys(["", *self.null_words])
        layout = CsvLayout(null_words=tuple(words))
        return RowReading(layout, time=self._column, has_made_up_days=self.has_made_up_days, has_query=True)

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
            days = self._read_days(database)
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
            rows = self._read_period(database, first, build_batch(first, self.period).complete)
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
        rows = read_parquet_table(files[ROWS_FILE], ROWS_FILE, self.null_words)
        if self.time not in (columns := rows.collect_schema()):
            raise ValueError(f"{ROWS_FILE} has no column {self.time!r}: expected one of {list_names(columns)}")
        return rows.with_columns(self._column.build_expression(columns[self.time])).collect()

    def _select(self, database: Database, columns: str, condition: str = "1 = 1", **days: Any) -> pl.DataFrame:
        """What a query of the query gives; in its text stand {time}, the column, and {x} for each day x."""
        names = {"time": f"q.{database.quote_name(self.time)}", **{name: f"{database.marker}{name}" for name in days}}
        rows = database.embed_query(drop_statement_end(self.query))
        query = f"SELECT {columns.format(**names)} FROM (\n{rows}\n) q WHERE {condition.format(**names)}"
        return database.read_table(query, days)

    def _read_bounds(self, database: Database) -> pl.Series:
        """The earliest and the latest time as the database has them; nothing where there are no rows."""
        found = self._select(database, "MIN({time}) AS earliest, MAX({time}) AS latest, COUNT({time}) AS times")
        return pl.concat([found["earliest"], found["latest"].alias("earliest")]).head(2 * found["times"][0])

    def _read_days(self, database: Database) -> tuple[dt.date, dt.date] | None:
        """The first and the last day; None where there are no rows."""
        bounds = self._read_bounds(database)
        if not bounds.len():
            return None
        days = self._find_days(bounds)
        if days.null_count():
            raise ValueError(f"the column {quote_value(self.time)} of the query has {self._describe(bounds)}")
        return (days[0], days[1]) if bounds.dtype != pl.String else self._read_text_days(database, days)

    def _read_text_days(self, database: Database, days: pl.Series) -> tuple[dt.date, dt.date]:
        """The first and the last day by the calendar, where the database compares times as text."""
        head, tail = days[0] + 2 * ONE_DAY, days[1] - ONE_DAY
        condition = f"{{time}} < {{head}} OR {{time}} >= {{tail}} OR ({' AND '.join(DAY_LIKES)})"
        found = self._select(
            database, "DISTINCT {time} AS times", condition, head=head.isoformat(), tail=tail.isoformat()
        )
        times = found["times"].drop_nulls()
        if len(odd := times.filter(~times.str.contains(DAY_PATTERN))):
            raise ValueError(f"the column {quote_value(self.time)} of the query has {self._describe(odd.sort())}")
        days = self._find_days(times).drop_nulls().sort()
        return days[0], days[-1]

    def _describe(self, times: pl.Series) -> str:
        first, last = (
            "an infinite or far time" if time is None else quote_value(time) for time in (times[0], times[-1])
        )
        return (
            f"values from {first} to {last}: expected timestamps, dates, or text such as 2024-03-01T12:00:00 (with "
            "leading zeros) between 1700 and 2199; cast it in the query, or leave such rows out there"
        )

    def _find_days(self, times: pl.Series) -> pl.Series:
        """The days of rows; of text that isn't a time as a whole the one that it begins with."""
        days = self._column.find_days(times)
        if times.dtype != pl.String:
            return days
        written = times.str.extract(DAY_PATTERN).str.to_date("%Y-%m-%d", strict=False)
        return pl.select(pl.when(written.is_not_null()).then(pl.coalesce(days, written))).to_series()

    def _read_period(self, database: Database, first: dt.date, stop: dt.date) -> pl.DataFrame:
        """The rows of some days."""
        margin = ONE_DAY if self._time_dtype == pl.String else dt.timedelta()
        limits = {"start": self._convert(first - margin), "stop": self._convert(stop + margin)}
        rows = self._select(database, "*", "{time} >= {start} AND {time} < {stop}", **limits)
        if not margin:
            return rows
        times = rows[self.time].cast(pl.String)
        as_text = times.is_between(pl.lit(first.isoformat()), pl.lit(stop.isoformat()), closed="left")
        return rows.filter(self._find_days(times).is_between(first, stop, closed="left").fill_null(as_text))

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
