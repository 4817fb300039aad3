"""The files that scoring leaves: the answers, and beside them the rows without one; CSV or Parquet by their endings."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import polars as pl

from flows.steps.score.part_scoring import REJECTED_FILE, SCORES_FILE
from flows.steps.score.table_job import TableJob
from penumbra.core.text.addresses import get_scheme
from penumbra.core.text.masking import mask_address
from penumbra.sources.tables.locations import PARQUET_SUFFIXES, is_parquet, list_store_errors, raise_unreachable
from penumbra.storage.atomic import write_aside

OUTPUT_SUFFIXES = (*PARQUET_SUFFIXES, ".csv")
ROWS_AT_ONCE = 1 << 17  # of a file that is put together


def is_file_address(address: str) -> bool:
    """Return whether an `address` is that of one file, by its ending; else it is that of a folder."""
    return address.lower().endswith(OUTPUT_SUFFIXES)


def name_output(output: str, table: str) -> str:
    """Name the file of a table's answers.

    Args:
        output: Where answers go: a file, or a folder.
        table: The table's name.

    Returns:
        The address of a file; in a folder it is Parquet, whatever the table is.
    """
    return output if is_file_address(output) else f"{output.rstrip('/')}/{table.rpartition('.')[0] or table}.parquet"


def name_rejected(output: str) -> str:
    """Return the address of the rows without an answer, beside that of the answers, which is `output`."""
    stem, _, suffix = output.rpartition(".")
    return f"{stem}.rejected.{suffix}"


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
    local = scratch / "output"
    _join_parts(parts, local, is_parquet(address))
    with _reach(address), local.open("rb") as source, fsspec.open(address, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 22)
    local.unlink()


def _join_parts(parts: Sequence[Path], path: Path, as_parquet: bool) -> None:
    """Write the rows of several Parquet files, in their order, a part at a time."""
    if as_parquet:
        _join_parquet(parts, path)
        return
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            rows = pl.read_parquet(part, glob=False)
            rows.select(_make_text(name, dtype) for name, dtype in rows.schema.items()).write_csv(
                file, include_header=number == 0
            )


def _join_parquet(parts: Sequence[Path], path: Path) -> None:
    from pyarrow import unify_schemas
    from pyarrow.parquet import ParquetWriter, read_schema

    schema = unify_schemas([read_schema(part) for part in parts], promote_options="permissive")
    with ParquetWriter(path, schema, compression="zstd") as writer:
        waiting = list[pl.DataFrame]()
        for part in parts:
            waiting.append(pl.read_parquet(part, glob=False))
            if sum(rows.height for rows in waiting) >= ROWS_AT_ONCE or part == parts[-1]:
                writer.write_table(pl.concat(waiting, how="vertical_relaxed").to_arrow().cast(schema))
                waiting = []


def _make_text(name: str, dtype: pl.DataType) -> pl.Expr:
    """What CSV can't hold as text: lists with blanks between their values, anything else that is nested as JSON."""
    column = pl.col(name)
    if isinstance(dtype, pl.List) and dtype.inner == pl.String:
        return column.list.join(" ")
    return pl.struct(column).struct.json_encode().alias(name) if dtype.is_nested() else column


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
