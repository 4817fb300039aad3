"""Parquet files as tables, with errors that name the file."""

import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs

from penumbra.core.columns import RESERVED_PREFIX
from penumbra.core.raw_files import RawContent
from penumbra.core.text.quoting import escape_text
from penumbra.sources.tables.locations import PIECE_BYTES

LARGE_BYTES = 1 << 26  # of a file: what is larger is read and written in pieces
WANTED = f"{RESERVED_PREFIX}wanted"


def read_parquet_table(content: bytes | Path, name: str, null_words: Sequence[str] = ()) -> pl.LazyFrame:
    """Read a Parquet file.

    Args:
        content: The file, or where it lies.
        name: What errors call it.
        null_words: Texts that stand for a missing value; the empty one is a value here, as Parquet has nulls.

    Returns:
        Its rows; NaN, which some programs write for a missing number, is null.

    Raises:
        ValueError: It isn't readable.
    """
    try:
        rows = (
            pl.scan_parquet(content, glob=False)
            if isinstance(content, Path)
            else pl.read_parquet(io.BytesIO(content)).lazy()
        )
        rows.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{name} isn't readable as Parquet: {escape_text(error, most=300)}") from None
    rows = rows.with_columns(cs.float().fill_nan(None))
    words = [word for word in null_words if word]
    return rows.with_columns(pl.when(~cs.string().is_in(words)).then(cs.string()).name.keep()) if words else rows


def read_parquet_rows(path: Path, runs: pl.DataFrame, is_large: bool) -> RawContent:
    """Read some rows of a Parquet file.

    Args:
        path: The file.
        runs: Rows that follow each other, in the order of the file: `start` and `end` (Int64).
        is_large: Whether they are too many for memory.

    Returns:
        A Parquet file with these rows; in pieces if they are many.
    """
    first, last = runs["start"][0], runs["end"][-1]
    rows = pl.scan_parquet(path, glob=False).slice(first, last - first)
    if runs.height > 1:
        is_wanted = np.zeros(last - first, bool)
        for start, end in runs.select("start", "end").iter_rows():
            is_wanted[start - first : end - first] = True
        wanted = pl.LazyFrame({WANTED: is_wanted})
        rows = pl.concat([rows, wanted], how="horizontal").filter(WANTED).drop(WANTED)
    if not is_large:
        target = io.BytesIO()
        rows.collect().write_parquet(target)
        return target.getvalue()
    return _write_in_pieces(rows)


def _write_in_pieces(rows: pl.LazyFrame) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as file:
        rows.sink_parquet(file)
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece
