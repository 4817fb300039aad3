"""The records of a CSV file as ranges of its bytes: a batch keeps the lines as they stand, quoted newlines included."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from penumbra.sources.tables.csv_lines import find_record_ends, has_lone_returns
from penumbra.sources.tables.csv_tables import UNQUOTED, CsvLayout, read_column_names, read_csv_table

BLOCK_BYTES, HEADER_BYTES = 1 << 25, 1 << 16  # read at a time
LONGEST_RECORD = 1 << 26  # a quotation mark that isn't closed would make the rest of the file one record


@dataclass(frozen=True)
class RecordBlock:
    """Whole records that follow each other in a file.

    Attributes:
        start: The position of the first byte in the file.
        line: The number of the first line, from 1 on.
        content: The bytes.
        ends: Where each record ends in `content`, its line ending included; int64 [n].
    """

    start: int
    line: int
    content: bytes
    ends: np.ndarray


def read_header(path: Path, layout: CsvLayout, name: str) -> bytes:
    """Read the header of a file.

    Args:
        path: The file, in UTF-8.
        layout: How it is written.
        name: What errors call it.

    Returns:
        The bytes of its first record, with empty lines before it; none where the layout has the columns.

    Raises:
        ValueError: The file is empty, its lines don't end as those of CSV do, or a quotation mark isn't closed.
    """
    if layout.columns:
        return b""
    for block in iterate_records(path, layout, name, piece_bytes=HEADER_BYTES):
        header = block.content[: block.ends[0]]
        if has_lone_returns(header, layout.quote):
            raise ValueError(f"{name} ends its lines with CR alone: expected LF or CRLF, so save it again")
        return header
    raise ValueError(f"{name} is empty: expected a header line")


def scan_csv_table(path: Path, layout: CsvLayout, name: str) -> pl.LazyFrame:
    """Read a CSV file as text, block by block when its rows are asked for.

    Args:
        path: The file, in UTF-8.
        layout: How it is written.
        name: What errors call the file.

    Returns:
        The columns, of dtype String; null where a value is missing. Where the file isn't readable, collecting them
        raises ValueError, which names the line where it can be told.

    Raises:
        ValueError: The header isn't readable.
    """
    header = read_header(path, layout, name)
    names = read_column_names(header, layout, name)

    def read_tables(
        columns: list[str] | None, predicate: pl.Expr | None, most: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for block in iterate_records(path, layout, name, len(header)):
            table = read_csv_block(header, block, layout, name).select(columns or names).slice(0, most)
            most = None if most is None else most - table.height
            yield table if predicate is None else table.filter(predicate)
            if most == 0:
                return

    return register_io_source(read_tables, schema=dict.fromkeys(names, pl.String), is_pure=True)


def read_csv_block(
    header: bytes, block: RecordBlock, layout: CsvLayout, name: str, column: str | None = None
) -> pl.DataFrame:
    """Read records as text.

    Args:
        header: The header of their file.
        block: The records.
        layout: How the file is written.
        name: What errors call it.
        column: The one column to read, where lines that are too long don't matter; None: all.

    Returns:
        The columns, of dtype String; null where a value is missing.

    Raises:
        ValueError: The records aren't readable; names the line where it can be told.
    """
    lines_before = block.line - 1 - header.count(b"\n")
    return read_csv_table(header + block.content, layout, name, column, lines_before)


def iterate_records(
    path: Path, layout: CsvLayout, name: str, skip: int = 0, piece_bytes: int = BLOCK_BYTES
) -> Iterator[RecordBlock]:
    """Read a file record by record, in blocks.

    Args:
        path: The file, in UTF-8.
        layout: How it is written.
        name: What errors call the file.
        skip: The number of bytes to leave out at its beginning.
        piece_bytes: The number of bytes that are read at a time.

    Yields:
        The blocks. Empty lines belong to the record after them; at the end of the file they are left out.

    Raises:
        ValueError: A quotation mark isn't closed.
    """
    with path.open("rb") as file:
        start, line, carry = skip, 1 + file.read(skip).count(b"\n"), b""
        while (piece := file.read(piece_bytes)) and len(carry) <= LONGEST_RECORD:
            content = carry + piece
            ends = find_record_ends(content, layout.quote)
            whole = int(ends[-1]) if len(ends) else 0
            if whole:
                yield RecordBlock(start, line, content[:whole], ends)
            start, line, carry = start + whole, line + content.count(b"\n", 0, whole), content[whole:]
    if len(carry) > LONGEST_RECORD or (layout.quote and carry.count(layout.quote.encode()) % 2):
        raise ValueError(f"{name}, line {line}: a quotation mark isn't closed: expected pairs, or {UNQUOTED}")
    if carry.strip(b"\r\n"):
        yield RecordBlock(start, line, carry, np.array([len(carry)]))
