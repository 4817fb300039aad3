"""Which rows of a table belong to which day or period: runs of its bytes (CSV) or of its rows (Parquet)."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from penumbra.core.raw_files import RawContent
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import list_names, quote_value
from penumbra.sources.tables.csv_records import iterate_records, read_csv_block, read_header
from penumbra.sources.tables.csv_tables import UNQUOTED, CsvLayout, read_column_names, suggest_separator
from penumbra.sources.tables.locations import TableFile
from penumbra.sources.tables.parquet_tables import LARGE_BYTES, read_parquet_rows, read_parquet_table
from penumbra.sources.tables.plain_files import PIECE_BYTES
from penumbra.sources.times.named_dates import find_named_date
from penumbra.sources.times.periods import PeriodBatch, build_period_start, find_next_period
from penumbra.sources.times.time_column import TimeColumn

FILE_PERIOD = "file"
MADE_UP_START = dt.date(2000, 1, 1)
HINT = "; or dated_names=True, rows_per_day=… in the source for a table without time"
RUNS = {"day": pl.Date, "start": pl.Int64, "end": pl.Int64}

# The days of rows, by the values of the time column (None where it isn't read), the first row's number, the count.
DayFinder = Callable[[pl.Series | None, int, int], pl.Series]


@dataclass(frozen=True)
class TableReading:
    """How the tables of a source are read.

    Attributes:
        layout: How CSV files are written.
        time: The time column.
        period: The kind of period to whose first day days are rounded down; "file": a file is a batch.
        has_dated_names: Whether the date in a file's name is the time of its rows.
        rows_per_day: The number of rows in a made-up day; None where there is a time.
    """

    layout: CsvLayout
    time: TimeColumn
    period: str
    has_dated_names: bool
    rows_per_day: int | None


@dataclass(frozen=True)
class IndexedTable:
    """A file of a source, with the days of its rows.

    Attributes:
        file: The file.
        path: A plain file on this machine with its content.
        header: The header line of a CSV file; empty without one.
        runs: Columns `day` (Date), `start` and `end` (Int64: bytes of a CSV file, rows of a Parquet file), in the order
            of the file.
        rows: The number of rows.
    """

    file: TableFile
    path: Path
    header: bytes
    runs: pl.DataFrame
    rows: int

    def build_file_batch(self, has_dated_names: bool, fingerprint: str = "") -> PeriodBatch:
        """Build the batch that the whole file is.

        Args:
            has_dated_names: Whether it is complete after the day, month or year that its name tells; else it is after
                its latest row.
            fingerprint: The batch's.

        Returns:
            The batch, with the file's name without its suffix.
        """
        name = self.file.name.rpartition(".")[0].replace("/", "-")
        day, period = find_named_date(self.file.name) if has_dated_names else (self.runs["day"].item(), "day")
        return PeriodBatch(name, find_next_period(day, period), fingerprint)

    def read_rows(self, runs: pl.DataFrame) -> RawContent:
        """Read rows as a file of the same kind.

        Args:
            runs: Some of its runs, in their order.

        Returns:
            CSV: the header, and the lines as they stand; a last line without an ending gets that of the header.
            Parquet: a file with these rows. What has more than `LARGE_BYTES` comes in pieces.
        """
        if self.file.is_parquet:
            share = (runs["end"] - runs["start"]).sum() / self.rows
            return read_parquet_rows(self.path, runs, is_large=share * self.path.stat().st_size > LARGE_BYTES)
        pieces = self._read_lines(runs)
        return pieces if (runs["end"] - runs["start"]).sum() > LARGE_BYTES else b"".join(pieces)

    def read_file(self) -> RawContent:
        """Read the whole file.

        Returns:
            Its bytes; in pieces if it has more than `LARGE_BYTES`.
        """
        size = self.path.stat().st_size
        return _read_range(self.path, 0, size) if size > LARGE_BYTES else self.path.read_bytes()

    def _read_lines(self, runs: pl.DataFrame) -> Iterator[bytes]:
        piece = self.header
        yield piece
        for start, end in runs.select("start", "end").iter_rows():
            for piece in _read_range(self.path, start, end):
                yield piece
        if not piece.endswith(b"\n"):
            yield b"\r\n" if self.header.endswith(b"\r\n") else b"\n"


def _read_range(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        for position in range(start, end, PIECE_BYTES):
            yield file.read(min(PIECE_BYTES, end - position))


def index_table(file: TableFile, path: Path, reading: TableReading, rows_before: int) -> IndexedTable:
    """Find the days of a table's rows, reading its time column alone.

    Args:
        file: The file.
        path: A plain file on this machine with its content.
        reading: How it is read.
        rows_before: The number of rows in the files before it.

    Returns:
        The indexed table. A row whose time can't be read has the day of the row before it, or else of the next one. A
        file that is a batch has one run, with the day of its latest row.

    Raises:
        ValueError: The file can't be read, has no such column or no date in its name, or none of its times can be read.
    """
    header = b"" if file.is_parquet else read_header(path, reading.layout, file.name)
    find_days, column = _choose_days(file, path, header, reading, rows_before)
    blocks, rows = [pl.DataFrame(schema=RUNS)], 0
    for starts, ends, values in _read_blocks(file, path, header, reading.layout, column):
        days = find_days(values, rows, len(ends))
        blocks.append(_join_runs(pl.DataFrame({"day": days, "start": starts, "end": ends}, RUNS), reading.period))
        rows += len(ends)
    filled = pl.col("day").fill_null(strategy="forward").fill_null(strategy="backward")
    runs = _join_runs(pl.concat(blocks).with_columns(filled), reading.period)
    if runs["day"].null_count():
        raise ValueError(_describe_unreadable(file, path, header, reading))
    return IndexedTable(file, path, header, runs, rows)


def _choose_days(
    file: TableFile, path: Path, header: bytes, reading: TableReading, rows_before: int
) -> tuple[DayFinder, str | None]:
    """How days are found, and the column that is read for it."""
    if reading.rows_per_day:
        per_day = reading.rows_per_day
        return lambda _, first, count: _make_up_days(rows_before + first, count, per_day), None
    if reading.has_dated_names:
        day, _ = find_named_date(file.name)
        return lambda _, first, count: pl.repeat(day, count, dtype=pl.Date, eager=True), None
    names = _read_names(file, path, header, reading.layout)
    if reading.time.name not in names:
        raise ValueError(
            f"{file.name} has no column {quote_value(reading.time.name)}: expected one of {list_names(names)}"
            f"{suggest_separator(names) or HINT}"
        )
    return lambda values, first, count: _round_down(reading.time.find_days(values), reading.period), reading.time.name


def _read_names(file: TableFile, path: Path, header: bytes, layout: CsvLayout) -> list[str]:
    if file.is_parquet:
        return read_parquet_table(path, file.name, trim_blanks=layout.trim_blanks).collect_schema().names()
    return read_column_names(header, layout, file.name)


def _make_up_days(first: int, count: int, rows_per_day: int) -> pl.Series:
    days = pl.int_range(first, first + count, eager=True) // rows_per_day
    return (days + (MADE_UP_START - dt.date(1970, 1, 1)).days).cast(pl.Int32).cast(pl.Date)


def _round_down(days: pl.Series, period: str) -> pl.Series:
    return days if period == FILE_PERIOD else pl.select(build_period_start(pl.lit(days), period)).to_series()


def _read_blocks(
    file: TableFile, path: Path, header: bytes, layout: CsvLayout, column: str | None
) -> Iterator[tuple[np.ndarray, np.ndarray, pl.Series | None]]:
    """Starts and ends of the rows, and the values of a column, piece by piece."""
    if file.is_parquet:
        table = read_parquet_table(path, file.name, trim_blanks=layout.trim_blanks)
        count = table.select(pl.len()).collect().item()
        values = table.select(column).collect().to_series() if column else None
        yield np.arange(count), np.arange(1, count + 1), values
        return
    for block in iterate_records(path, layout, file.name, len(header)):
        values = read_csv_block(header, block, layout, file.name, column).to_series() if column else None
        if values is not None and len(values) != len(block.ends):
            raise ValueError(
                f"{file.name}, from line {block.line} on: {format_count(len(block.ends), 'record')}, of which "
                f"{len(values)} can be "
                f"read: expected quotation marks around whole values only, or {UNQUOTED}"
            )
        ends = block.start + block.ends
        yield np.concatenate(([block.start], ends[:-1])), ends, values


def _join_runs(runs: pl.DataFrame, period: str) -> pl.DataFrame:
    """Rows that follow each other and have the same day as one; all of them where a batch is a file."""
    if period == FILE_PERIOD:
        return runs.select(pl.col("day").max(), pl.col("start").min(), pl.col("end").max()).head(runs.height)
    joined = runs.group_by(pl.col("day").rle_id().alias("run"), maintain_order=True)
    return joined.agg(pl.col("day").first(), pl.col("start").first(), pl.col("end").last()).drop("run")


def _describe_unreadable(file: TableFile, path: Path, header: bytes, reading: TableReading) -> str:
    """Name the first value of the time column, none of which can be read."""
    name, expected = quote_value(reading.time.name), f"expected {reading.time.describe_expectation()}"
    for _, _, values in _read_blocks(file, path, header, reading.layout, reading.time.name):
        if values is not None and len(filled := values.drop_nulls()):
            first = quote_value(filled[0])
            return f"no value of the column {name} of {file.name} is a time, the first is {first}: {expected}"
    return f"the column {name} of {file.name} is empty: {expected}"
