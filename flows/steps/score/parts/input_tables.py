"""The tables that are scored, read part by part: the same parts however often, and whichever of them are wanted."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import polars.selectors as cs

from flows.steps.score.parts.record_check import RowsRefused
from penumbra.core.columns import RESERVED_PREFIX
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import escape_text
from penumbra.sources.tables.csv_records import iterate_records, read_csv_block, read_header
from penumbra.sources.tables.csv_tables import UNQUOTED, CsvLayout, read_csv_table
from penumbra.sources.tables.locations import is_parquet
from penumbra.sources.tables.parquet_tables import drop_stand_ins
from penumbra.sources.tables.text_values import clean_text

BYTES_PER_ROW = 128  # of a CSV file, by which it is cut into parts of about as many rows as those of Parquet
QUERY_PATTERN = re.compile(r"\s*(select|with|from)\s", re.IGNORECASE)

PartFilter = Callable[[int], bool]


class RowPart(NamedTuple):
    """Rows of a table that follow each other, as they arrived; the numbers of the part and of its first row."""

    number: int
    first: int
    rows: pl.DataFrame


def is_query(text: str) -> bool:
    """Return whether a `text` that says what is to be scored is a query, by its first word, and not a path."""
    return QUERY_PATTERN.match(text) is not None


def iterate_parts(path: Path, name: str, layout: CsvLayout, part_rows: int, is_wanted: PartFilter) -> Iterator[RowPart]:
    """Read a table part by part, in memory that doesn't grow with it.

    Args:
        path: A plain file on this machine.
        name: Its name, by whose ending it is Parquet or CSV, and which errors call it by.
        layout: How CSV files are written.
        part_rows: The number of rows of a part; in CSV about as many.
        is_wanted: Tells by a part's number whether it is read; which number has which rows doesn't depend on it.

    Yields:
        The parts that are wanted, in their order, without columns that have names of the engine's own, as a file of
        rows without an answer has them. The first part has no rows where the table has none.

    Raises:
        RowsRefused: The file can't be read.
        ValueError: A line of a CSV file can't be read.
    """
    read = _iterate_parquet if is_parquet(name) else _iterate_csv
    for part in read(path, name, layout, part_rows, is_wanted):
        yield part._replace(rows=part.rows.select(~cs.starts_with(RESERVED_PREFIX)))


def estimate_parts(path: Path, name: str, part_rows: int) -> int:
    """Estimate of how many parts a table has; of Parquet that is known.

    Args:
        path: As for `iterate_parts`.
        name: As for `iterate_parts`.
        part_rows: As for `iterate_parts`.

    Returns:
        A number of at least 1.

    Raises:
        RowsRefused: The file can't be read.
    """
    if not is_parquet(name):
        return 1 + path.stat().st_size // (part_rows * BYTES_PER_ROW)
    with _open_parquet(path, name) as file:
        return max(1, sum(-(-rows // part_rows) for _, rows in _join_groups(file, part_rows)))


def _iterate_csv(path: Path, name: str, layout: CsvLayout, part_rows: int, is_wanted: PartFilter) -> Iterator[RowPart]:
    header, first, number = read_header(path, layout, name), 0, -1
    blocks = iterate_records(path, layout, name, len(header), piece_bytes=part_rows * BYTES_PER_ROW)
    for number, block in enumerate(blocks):
        if is_wanted(number):
            rows = read_csv_block(header, block, layout, name)
            if rows.height != len(block.ends):
                raise RowsRefused(
                    f"{name}, from line {block.line} on: {format_count(len(block.ends), 'record')}, of which "
                    f"{rows.height} can be "
                    f"read: expected quotation marks around whole values only, or {UNQUOTED}"
                )
            yield RowPart(number, first, rows)
        first += len(block.ends)
    if number < 0 and is_wanted(0):
        yield RowPart(0, 0, read_csv_table(header, layout, name))


def _iterate_parquet(
    path: Path, name: str, layout: CsvLayout, part_rows: int, is_wanted: PartFilter
) -> Iterator[RowPart]:
    words = [word for word in layout.null_words if word]
    with _open_parquet(path, name) as file:
        number, first = 0, 0
        for groups, rows in _join_groups(file, part_rows) or [([], 0)]:
            numbers = range(number, number + max(1, -(-rows // part_rows)))
            if any(map(is_wanted, numbers)):
                for part, frame in zip(numbers, _read_groups(file, groups, part_rows, name), strict=True):
                    if is_wanted(part):
                        clean = clean_text(drop_stand_ins(frame.lazy()), words, layout.trim_blanks).collect()
                        yield RowPart(part, first + (part - number) * part_rows, clean)
            number, first = numbers.stop, first + rows


def _join_groups(file: Any, part_rows: int) -> list[tuple[list[int], int]]:
    """Row groups that follow each other and have the rows of a part at least, with the number of their rows."""
    found, groups, rows = [], list[int](), 0
    for group in range(file.num_row_groups):
        groups.append(group)
        rows += file.metadata.row_group(group).num_rows
        if rows >= part_rows:
            found.append((groups, rows))
            groups, rows = [], 0
    return [*found, (groups, rows)] if rows else found


def _read_groups(file: Any, groups: Sequence[int], part_rows: int, name: str) -> Iterator[pl.DataFrame]:
    """Cut the rows of row groups into parts; one without rows where there are none."""
    from pyarrow import ArrowException

    waiting, height = list[pl.DataFrame](), 0
    try:
        for batch in file.iter_batches(part_rows, row_groups=groups, use_threads=False):
            waiting.append(pl.DataFrame(pl.from_arrow(batch)))
            height += waiting[-1].height
            while height >= part_rows:
                joined = pl.concat(waiting)
                yield joined.head(part_rows)
                waiting, height = [joined.slice(part_rows)], height - part_rows
    except (ArrowException, OSError) as error:
        raise RowsRefused(f"{name} isn't readable as Parquet: {escape_text(error, most=300)}") from None
    if height or not groups:
        yield pl.concat(waiting) if waiting else pl.DataFrame(pl.from_arrow(file.schema_arrow.empty_table()))


def _open_parquet(path: Path, name: str) -> Any:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path, buffer_size=1 << 20)
    except (ArrowException, OSError) as error:
        raise RowsRefused(f"{name} isn't readable as Parquet: {escape_text(error, most=300)}") from None
