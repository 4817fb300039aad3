"""Tables in files as a source: CSV and Parquet, on this machine or elsewhere, cut by periods of a time column."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import polars as pl

from penumbra.core.checks.type_checks import require_argument_types
from penumbra.core.raw_files import RawContent
from penumbra.core.text.quoting import list_names
from penumbra.sources.row_reading import RowReading
from penumbra.sources.tables.csv_records import scan_csv_table
from penumbra.sources.tables.csv_tables import CsvLayout, read_csv_table, suggest_separator
from penumbra.sources.tables.locations import is_parquet
from penumbra.sources.tables.parquet_tables import LARGE_BYTES, read_parquet_table
from penumbra.sources.tables.plain_files import is_text_encoding
from penumbra.sources.tables.table_index import TableIndex
from penumbra.sources.tables.table_runs import FILE_PERIOD, IndexedTable, TableReading
from penumbra.sources.times.named_dates import find_named_date
from penumbra.sources.times.periods import (
    PERIODS,
    PeriodBatch,
    build_batch,
    build_period_start,
    check_period,
    parse_period,
)
from penumbra.sources.times.time_column import TimeColumn

MADE_UP_TIME = "time"  # what a draft calls the column of a table that has none
EMPTY_DAYS = pl.DataFrame(schema={"day": pl.Date, "file": pl.Int32})


@dataclass(frozen=True)
class TableFiles:
    """Tables in CSV or Parquet files, cut into batches by periods of a time column.

    A batch of CSV files is a byte-exact slice of each: the header line and the lines as they stand. Every row is in
    exactly one batch: one whose time can't be read (or lies before 1700 or after 2199) is in that of the row before
    it, where the contract quarantines it. Earlier batches stay the same when files grow or are added, as long as the
    new rows are of later periods. What is compressed (.gz, .bz2, .xz, .zip with one file), not in UTF-8, or elsewhere
    than on this machine is copied once a process into a temporary folder, and kept in the data folder as plain UTF-8;
    what a web server gives without ETag or Last-Modified is fetched each time batches are listed. Each process reads
    the time column of all files once; where that takes long, keep the history in Parquet, or in a database that has an
    index on the time. Pods of a cluster need URLs.

    A table without any time can be used with `rows_per_day`: its rows are dealt, in the order of the files, to made-up
    days from 2000-01-01 on, and `parse` adds the column `time` with that day. What counts by days, such as intervals of
    scores, then takes rows for related that merely stand beside each other.

    Args:
        paths: A file, a folder (all tables below it), a pattern such as `orders/**/*.csv`, or several of these; on this
            machine (from the project's folder), as URLs that fsspec knows, such as "s3://bucket/orders", or in an
            installed package: "package://name/path".
        time: The column with the time of the event, `TIME` of `problem/schema.py`.
        period: "day", "week", "month", "quarter" or "year"; or "file": each file is a batch.
        time_format: The form of the times, such as "%d.%m.%Y %H:%M", or "s", "ms" or "us" for numbers since 1970; None
            for ISO 8601 in any of its forms, such as 2024-03-01 or 2024-03-01T12:00:00+01:00.
        time_zone: The zone of times without an offset, such as "Europe/Berlin"; periods go by its calendar, and `parse`
            gives moments, so that the contract's column needs a time zone, too. None: times without an offset stay
            so, and periods of those with one go by UTC.
        dated_names: Whether the date in a file's name (`orders-2024-03-05.csv`, `2024/03/orders.parquet`) is the time
            of its rows, for tables without a time column; `parse` adds the column `time`. A day counts before a month,
            a month before a year; what may be read in two ways (`05-03-2024`, `2024-Q1`) is refused.
        rows_per_day: The number of rows in a made-up day, for a table without any time; None for one with a time.
        separator: The character between values.
        quote: The character around values that have separators or line ends in them; "" for none.
        encoding: The encoding of CSV files, such as "cp1252".
        null_words: The texts that stand for a missing value; in Parquet "" is a value.
        trim_blanks: Whether blanks around text and names of columns are left out; what is nothing else is missing.
        columns: The names of the columns, for CSV files without a header line.
    """

    paths: str | Path | Sequence[str | Path]
    _: KW_ONLY
    time: str
    period: str = "month"
    time_format: str | None = None
    time_zone: str | None = None
    dated_names: bool = False
    rows_per_day: int | None = None
    separator: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    null_words: Sequence[str] = ("",)
    trim_blanks: bool = False
    columns: Sequence[str] = ()
    _index: TableIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option isn't one; names it and what was expected.
        """
        require_argument_types(self)
        check_period(self.period, (*PERIODS, FILE_PERIOD))
        if self.rows_per_day is not None and (self.rows_per_day < 1 or self.period == FILE_PERIOD):
            raise ValueError("rows_per_day needs a number of rows from 1 on, and a period of the calendar")
        if self.rows_per_day and self.dated_names:
            raise ValueError("rows_per_day and dated_names exclude each other: expected one of them")
        if len(self.separator) != 1 or len(self.quote) > 1:
            raise ValueError("separator and quote are one character each; quote may be empty")
        if not is_text_encoding(self.encoding):
            raise ValueError(f"encoding = {self.encoding!r}: expected one of Python's, such as 'cp1252'")
        paths = [self.paths] if isinstance(self.paths, str | Path) else self.paths
        if not paths or not all(map(str, paths)):
            raise ValueError(
                f"paths = {self.paths!r}: expected a file, a folder, a pattern or a URL, or several of them"
            )
        layout = CsvLayout(self.separator, self.quote, self.null_words, self.columns, self.trim_blanks)
        time = TimeColumn(self.time, self.time_format, self.time_zone)
        reading = TableReading(layout, time, self.period, self.dated_names, self.rows_per_day)
        object.__setattr__(self, "_index", TableIndex(paths, self.encoding, reading))

    @property
    def row_reading(self) -> RowReading:
        """The reading of rows of other tables.

        Returns:
            As those of these files.
        """
        reading = self._index.reading
        made_up = self.rows_per_day is not None
        return RowReading(reading.layout, self.encoding, reading.time, self.dated_names, made_up)

    def batches(self) -> list[PeriodBatch]:
        """List the batches.

        Returns:
            Those of the periods that have rows, oldest first; each is complete on the first day after its period. A
            batch that is a file is complete on the day after its latest row, or after what its dated name tells.

        Raises:
            FileNotFoundError: There are no files.
            ConnectionError: The files can't be reached.
            ValueError: A file can't be read.
        """
        tables = self._index.read_tables(is_fresh=True)
        if self.period == FILE_PERIOD:
            found = (table.build_file_batch(self.dated_names, self._fingerprint([table])) for table in tables)
            return sorted(found, key=lambda batch: batch.name)
        days = [table.runs.select("day", file=pl.lit(n)) for n, table in enumerate(tables)]
        periods = pl.concat([EMPTY_DAYS, *days]).group_by(first=build_period_start(pl.col("day"), self.period))
        return [
            build_batch(first, self.period, self._fingerprint(self._list_origins(tables, files)))
            for first, files in periods.agg(pl.col("file").unique().sort()).sort("first").iter_rows()
        ]

    def fetch(self, batch: str) -> dict[str, RawContent]:
        """Fetch the rows of a batch.

        Args:
            batch: Its name.

        Returns:
            For each file with rows in it: its name, and those rows as a file of the same kind. The name begins with the
            day where days are made up. What has more than 64 MiB comes in pieces.

        Raises:
            FileNotFoundError: There are no files.
            ConnectionError: The files can't be reached.
            ValueError: A file can't be read, or there is no such batch.
        """
        tables = self._index.read_tables()
        if self.period == FILE_PERIOD:
            chosen = [table for table in tables if table.build_file_batch(self.dated_names).name == batch]
            found = {table.file.name: table.read_file() for table in chosen}
        else:
            found = dict(self._fetch_period(tables, parse_period(batch, self.period)))
        if not found:
            names = list_names(each.name for each in self.batches())
            raise ValueError(f"there is no batch {batch!r}: expected one of {names}")
        return found

    def parse(self, files: Mapping[str, bytes]) -> pl.DataFrame | pl.LazyFrame:
        """Read the rows of a batch.

        Args:
            files: What `fetch` returned, or what ingest made of it.

        Returns:
            The rows of all files; a column that one of them lacks is null there. Columns are text if the files are CSV,
            of the dtypes that they have in Parquet; the time is ISO 8601, or text as it stands where it isn't readable.
            A DataFrame; where ingest gives a file of more than 64 MiB, a LazyFrame, which it then reads in pieces.

        Raises:
            ValueError: A file can't be read; names it, and the line where that is known.
        """
        paths = getattr(files, "paths", {})
        large = {name: path for name, path in paths.items() if path.stat().st_size > LARGE_BYTES}
        tables = [self._parse_file(name, large.get(name) or files[name]) for name in sorted(files)]
        rows = pl.concat(tables, how="diagonal_relaxed")
        return rows if large else rows.collect()

    def _list_origins(self, tables: Sequence[IndexedTable], files: Sequence[int]) -> Sequence[IndexedTable]:
        """The tables that make the rows of some of them what they are: where days are made up, those before, too."""
        return tables[: files[-1] + 1] if self.rows_per_day else [tables[number] for number in files]

    def _fingerprint(self, tables: Sequence[IndexedTable]) -> str:
        """What is another when an option or one of the files has changed."""
        state = [repr(self), *((table.file.name, table.file.fingerprint) for table in tables)]
        return hashlib.sha256(repr(state).encode()).hexdigest()

    def _fetch_period(self, tables: Sequence[IndexedTable], first: dt.date) -> Iterator[tuple[str, RawContent]]:
        """The rows of a period by file; where days are made up, by day and file."""
        within = pl.col("day").is_between(first, build_batch(first, self.period).complete, closed="left")
        for table in tables:
            for (day,), runs in table.runs.filter(within).group_by("day", maintain_order=True):
                folder = f"{day}/" if self.rows_per_day else ""
                yield f"{folder}{table.file.name}", table.read_rows(runs)

    def _parse_file(self, name: str, content: bytes | Path) -> pl.LazyFrame:
        reading, layout = self._index.reading, self._index.reading.layout
        if is_parquet(name):
            rows = read_parquet_table(content, name, layout.null_words, layout.trim_blanks)
        elif isinstance(content, Path):
            rows = scan_csv_table(content, layout, name)
        else:
            rows = read_csv_table(content, layout, name).lazy()
        if self.dated_names or self.rows_per_day:
            day = pl.Series([name.partition("/")[0] if self.rows_per_day else find_named_date(name)[0].isoformat()])
            time = TimeColumn(self.time, None, self.time_zone).normalize(day).item()
            return rows.with_columns(pl.lit(time).alias(self.time))
        if self.time not in (columns := rows.collect_schema()):
            found = list_names(columns) + suggest_separator(list(columns))
            raise ValueError(f"{name} has no column {self.time!r}: expected one of {found}")
        return rows.with_columns(reading.time.build_expression(columns[self.time]))
