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
from penumbra.sources.tables.plain_files import PIECE_BYTES
from penumbra.sources.tables.text_values import clean_text, complete_names
from penumbra.sources.times.calendar_times import list_calendar_times

LARGE_BYTES = 1 << 26  # of a file: what is larger is read and written in pieces
WANTED = f"{RESERVED_PREFIX}wanted"


def read_parquet_table(
    content: bytes | Path, name: str, null_words: Sequence[str] = (), trim_blanks: bool = False
) -> pl.LazyFrame:
    """Read a Parquet file.

    Args:
        content: The file, or where it lies.
        name: What errors call it.
        null_words: Texts that stand for a missing value; the empty one is a value here, as Parquet has nulls.
        trim_blanks: Whether blanks around text and names of columns are left out.

    Returns:
        Its rows, as `drop_stand_ins` has them.

    Raises:
        ValueError: It isn't readable, or two columns have the same name without blanks.
    """
    try:
        rows = (
            pl.scan_parquet(content, glob=False)
            if isinstance(content, Path)
            else pl.read_parquet(io.BytesIO(content)).lazy()
        )
        names = rows.collect_schema().names()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{name} isn't readable as Parquet: {escape_text(error, most=300)}") from None
    if trim_blanks:
        rows = rows.rename(dict(zip(names, complete_names(names, name, trim_blanks), strict=True)))
    return clean_text(drop_stand_ins(rows), [word for word in null_words if word], trim_blanks)


def drop_stand_ins(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Make null of what programs write for a missing value: NaN, and times that are infinite or far.

    Args:
        rows: Rows with columns of any dtypes.

    Returns:
        The rows without NaN, and without times of other years than 1 to 9999, which nothing after it could read.
    """
    return rows.with_columns(cs.float().fill_nan(None), *list_calendar_times())


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
