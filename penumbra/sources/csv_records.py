"""The records of a CSV file as ranges of its bytes: a batch keeps the lines as they stand, quoted newlines included."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from penumbra.sources.csv_tables import CsvLayout, read_column_names

BLOCK_BYTES, HEADER_BYTES = 1 << 25, 1 << 16  # read at a time
LONGEST_RECORD = 1 << 26  # a quotation mark that isn't closed would make the rest of the file one record
NEWLINE, RETURN = 10, 13


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
        The bytes of its first record; none where the layout has the columns.

    Raises:
        ValueError: The file is empty, or a quotation mark isn't closed.
    """
    if layout.columns:
        return b""
    for block in iterate_records(path, layout, name, piece_bytes=HEADER_BYTES):
        return block.content[: block.ends[0]]
    raise ValueError(f"{name} is empty: expected a header line")


def scan_csv_table(path: Path, layout: CsvLayout, name: str) -> pl.LazyFrame:
    """Read a CSV file as text, when its rows are asked for.

    Args:
        path: The file, in UTF-8.
        layout: How it is written.
        name: What errors call the file.

    Returns:
        The columns, of dtype String; null where a value is missing.

    Raises:
        ValueError: The header isn't readable.
    """
    names = read_column_names(read_header(path, layout, name), layout, name)
    return pl.scan_csv(
        path,
        glob=False,
        has_header=not layout.columns,
        separator=layout.separator,
        quote_char=layout.quote or None,
        null_values=list(layout.null_words),
        infer_schema=False,
        new_columns=names,
    )


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
            ends = find_record_ends(content, layout)
            whole = int(ends[-1]) if len(ends) else 0
            if whole:
                yield RecordBlock(start, line, content[:whole], ends)
            start, line, carry = start + whole, line + content.count(b"\n", 0, whole), content[whole:]
    if len(carry) > LONGEST_RECORD or (layout.quote and carry.count(layout.quote.encode()) % 2):
        raise ValueError(
            f'{name}, line {line}: a quotation mark isn\'t closed: expected pairs, or quote="" in the source'
        )
    if carry.strip(b"\r\n"):
        yield RecordBlock(start, line, carry, np.array([len(carry)]))


def find_record_ends(content: bytes, layout: CsvLayout) -> np.ndarray:
    """Find where records end: at each newline that no quotation marks are around.

    Args:
        content: Bytes that begin with a record.
        layout: How the file is written.

    Returns:
        The positions after these newlines; int64 [n]. Empty lines are no records.
    """
    codes = np.frombuffer(content, np.uint8)
    newlines = np.flatnonzero(codes == NEWLINE)
    if layout.quote:
        marks = np.flatnonzero(codes == ord(layout.quote))
        newlines = newlines[np.searchsorted(marks, newlines) % 2 == 0]
    ends = newlines + 1
    starts = np.roll(ends, 1)
    starts[:1] = 0
    lengths = ends - starts
    return ends[(lengths > 2) | ((lengths == 2) & (codes[starts] != RETURN))]
