"""Rows of one batch that are too many for memory: written part by part, and read some at a time."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import polars as pl


class RowParts:
    """Rows that are put together part by part, in their order: in a folder, or in memory."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` is created, and has a file for each part; None keeps the parts in memory."""
        self._folder, self._frames, self._files = folder, list[pl.DataFrame](), list[Path]()
        if folder:
            folder.mkdir()

    def add(self, rows: pl.DataFrame) -> None:
        """Add the part `rows`, with the columns of those before."""
        if self._folder is None:
            self._frames.append(rows)
            return
        self._files.append(self._folder / f"{len(self._files)}.parquet")
        rows.write_parquet(self._files[-1], compression="lz4", statistics=False)

    def scan_each(self) -> list[pl.LazyFrame]:
        """Return the rows of each part that is in the folder, by itself."""
        return [pl.scan_parquet(file, glob=False) for file in self._files]

    def scan(self) -> pl.LazyFrame:
        """Return the rows of all parts, at least one."""
        return pl.scan_parquet(self._files, glob=False) if self._files else pl.concat(self._frames).lazy()


def read_row_slices(rows: pl.LazyFrame, height: int) -> Iterator[pl.DataFrame]:
    """Read the rows of a Parquet file some at a time.

    Args:
        rows: The file as it is scanned, with what is computed of each row by itself.
        height: How many rows at a time.

    Yields:
        The rows, in their order; a frame without rows where the file has none.
    """
    for first in itertools.count(0, height):
        part = rows.slice(first, height).collect()
        if part.height or not first:
            yield part
        if part.height < height:
            return
