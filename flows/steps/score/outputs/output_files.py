"""The files that scoring leaves: the answers, and beside them the rows without one; CSV or Parquet by their endings."""

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import fsspec
import polars as pl

from flows.steps.score.outputs.csv_texts import make_texts
from flows.steps.score.outputs.output_places import name_rejected
from flows.steps.score.parts.part_scoring import REJECTED_FILE, SCORES_FILE
from flows.steps.score.table_job import TableJob
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.masking import mask_address
from penumbra.sources.tables.locations import is_parquet, list_store_errors, raise_unreachable
from penumbra.storage.atomic import write_aside

PARTS_AT_ONCE = 4  # of a file that is put together: the rows of a row group
MOST_VALUES = 1000  # different ones in a part, of a column that gets a dictionary


def write_outputs(table: TableJob) -> str:
    """Put the parts of a table together, and put the files where they are wanted; each appears as a whole.

    Args:
        table: The table, whose parts are all done.

    Returns:
        The address of the rows without an answer; "" where all rows have one.

    Raises:
        ConnectionError: The files can't be written there.
        OSError: A file can't be written.
    """
    folders = [table.locate_part(number) for number in table.list_done()]
    _write_file([folder / SCORES_FILE for folder in folders], table.output, table.folder)
    found = [path for folder in folders if (path := folder / REJECTED_FILE).exists()]
    rejected = name_rejected(table.output)
    if found:
        _write_file(found, rejected, table.folder)
        return rejected
    _remove_file(rejected)  # of a run before
    return ""


def has_file(address: str) -> bool:
    """Return whether there is a file at an `address`. Raises ConnectionError where that can't be told."""
    with _reach(address):
        store, place = fsspec.core.url_to_fs(address)
        return bool(store.exists(place))


def _write_file(parts: Sequence[Path], address: str, scratch: Path) -> None:
    if not get_scheme(address):
        path = Path(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_aside(path) as aside:
            _join_parts(parts, aside, is_parquet(address))
        return
    local = scratch / ".output"
    with write_aside(local) as aside:
        _join_parts(parts, aside, is_parquet(address))
    with _reach(address), local.open("rb") as source, fsspec.open(address, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 22)
    local.unlink()


def _join_parts(parts: Sequence[Path], path: Path, as_parquet: bool) -> None:
    """Write the rows of several parts, in their order, some at a time; null where a part doesn't have a column."""
    columns = pl.concat([pl.scan_ipc(part).head(0) for part in parts], how="diagonal_relaxed").collect()

    def read(some: Sequence[Path]) -> pl.DataFrame:
        return pl.concat([columns, *map(pl.read_ipc, some)], how="diagonal_relaxed")

    groups = [parts[start : start + PARTS_AT_ONCE] for start in range(0, len(parts), PARTS_AT_ONCE)]
    with path.open("wb") as file:
        if as_parquet:
            _write_parquet(map(read, groups), columns, read(parts[:1]), file)
            return
        for number, part in enumerate(parts):
            make_texts(read([part])).write_csv(file, include_header=number == 0)


def _write_parquet(groups: Iterable[pl.DataFrame], columns: pl.DataFrame, first: pl.DataFrame, file: IO[bytes]) -> None:
    """Write Parquet: columns in which each value is another one, such as ids, without a dictionary."""
    from pyarrow.parquet import ParquetWriter

    schema = columns.to_arrow().schema
    few = [each.name for each in first if not each.dtype.is_nested() and each.n_unique() < MOST_VALUES]
    with ParquetWriter(file, schema, compression="zstd", use_dictionary=few) as writer:
        for rows in groups:
            writer.write_table(rows.to_arrow().cast(schema))


def _remove_file(address: str) -> None:
    with _reach(address):
        store, place = fsspec.core.url_to_fs(address)
        if store.exists(place):
            store.rm_file(place)


@contextlib.contextmanager
def _reach(address: str) -> Iterator[Any]:
    try:
        yield
    except list_store_errors() as error:
        raise_unreachable(f"{mask_address(address)} can't be written", error)
