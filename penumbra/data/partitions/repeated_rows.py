"""Rows of one batch with a value that no two may have in common, found in memory that doesn't grow with the batch.

The hashes of the values are dealt to files by their first bits, so that equal ones meet in one file, which is small
enough to be sorted. Values whose hashes are equal are then compared themselves.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from penumbra.core.columns import ROW_NUMBER_COLUMN

HASH_COLUMN = "penumbra.hash"
HASH_FILES, FILE_BITS = 256, 8  # of 64-bit hashes: a hundred million rows make 3 MB each
COMPARED_HASHES = 1_000_000  # whose rows are in memory at once


def find_repeated_rows(frames: Iterable[pl.DataFrame], value: pl.Expr, folder: Path) -> pl.Series:
    """Find the rows whose value other rows have, too.

    Args:
        frames: The rows in parts, with `penumbra.row` (UInt32, the row's number) and the columns that `value` reads.
        value: What no two rows may have in common.
        folder: A folder to create, for files that are needed meanwhile.

    Returns:
        The numbers of those rows (UInt32), ascending.

    Raises:
        OSError: A file can't be written.
    """
    folder.mkdir()
    paths, dealt = list[Path](), [folder / f"{number}.hashes" for number in range(HASH_FILES)]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in dealt]
        for frame in frames:
            hashed = frame.with_columns(value.hash().alias(HASH_COLUMN))
            _deal_hashes(hashed[HASH_COLUMN].to_numpy(), files)
            paths.append(folder / f"{len(paths)}.parquet")
            hashed.write_parquet(paths[-1], compression="lz4", statistics=False)
    repeated = np.concatenate([_select_repeated(np.fromfile(path, np.uint64)) for path in dealt])
    found = _compare_values(pl.scan_parquet(paths, glob=False), value, repeated)
    return pl.concat([pl.Series(ROW_NUMBER_COLUMN, [], pl.UInt32), *found]).sort()


def _deal_hashes(hashes: np.ndarray, files: Sequence[IO[bytes]]) -> None:
    """Append each hash (uint64 [n]) to the file of its first bits."""
    limits = np.arange(1, len(files), dtype=np.uint64) << np.uint64(64 - FILE_BITS)
    ordered = np.sort(hashes)
    for file, part in zip(files, np.split(ordered, np.searchsorted(ordered, limits)), strict=True):
        part.tofile(file)


def _select_repeated(hashes: np.ndarray) -> np.ndarray:
    found, counts = np.unique(hashes, return_counts=True)
    return found[counts > 1]


def _compare_values(rows: pl.LazyFrame, value: pl.Expr, repeated: np.ndarray) -> Iterator[pl.Series]:
    """Yield the numbers of the rows that have equal values, of those with equal hashes."""
    for start in range(0, len(repeated), COMPARED_HASHES):
        some = pl.Series(repeated[start : start + COMPARED_HASHES])
        same = rows.filter(pl.col(HASH_COLUMN).is_in(some.implode())).collect(engine="streaming")
        yield same.filter(value.is_duplicated())[ROW_NUMBER_COLUMN]
