"""Tables of data as they stand: CSV and Parquet files, folders of them, and queries, as one lazy frame."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fsspec
import polars as pl

from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_text
from penumbra.core.text.quoting import list_names
from penumbra.drafting.analysis.dialect import HEAD_BYTES, Dialect, find_dialect, find_encoding
from penumbra.drafting.analysis.names import find_name_fault
from penumbra.drafting.draft import DraftRefused

PARQUET_ENDINGS = (".parquet", ".pq")
CSV_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".csv.zst")
PIECE_BYTES = 1 << 22


@dataclass(frozen=True)
class DataTable:
    """A table whose columns are text, or have the dtypes that they have in the data.

    Attributes:
        rows: All rows.
        options: Keyword arguments of the source that differ from its defaults.
        left_out: By column that `rows` hasn't, since no schema could have it, the reason as a phrase.
    """

    rows: pl.LazyFrame
    options: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def open_table(location: str, query: str) -> Iterator[DataTable]:
    """Open a table for as long as the context lasts.

    Args:
        location: A file, a folder, a glob, the URL of one, or with a query the URL of a database.
        query: The query; empty for files.

    Yields:
        The table.

    Raises:
        DraftRefused: Nothing is there, it can't be read, or its files don't belong together.
    """
    with tempfile.TemporaryDirectory(prefix="penumbra-init-") as folder:
        yield _open_query(location, query) if query else _open_files(location, Path(folder))


def name_null_words(table: DataTable, words: Sequence[str]) -> DataTable:
    """Have words of a table of text read as missing.

    Args:
        table: The table.
        words: The words; the empty text is one anyway.

    Returns:
        The table, whose source is told as well.
    """
    if not words:
        return table
    text = pl.selectors.string()
    rows = table.rows.with_columns(pl.when(~text.is_in([*words])).then(text).name.keep())
    return replace(table, rows=rows, options={**table.options, "null_words": ("", *words)})


def _open_files(location: str, folder: Path) -> DataTable:
    files = list_data_files(location)
    is_parquet = {name.lower().endswith(PARQUET_ENDINGS) for name in files}
    if len(is_parquet) > 1:
        raise DraftRefused(f"{location} has CSV and Parquet files: keep one kind there, or pass a glob such as '*.csv'")
    try:
        local = {name: _make_local(location, name, folder) for name in files}
        return _open_parquet(local) if is_parquet.pop() else _open_csv(local, folder)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DraftRefused(f"{location} can't be read: {mask_text(describe_error(error))}") from error


def list_data_files(location: str) -> list[str]:
    """List the files of a location.

    Args:
        location: A file, a folder, a glob, or the URL of one.

    Returns:
        The paths on their file system, sorted.

    Raises:
        DraftRefused: Nothing is there.
    """
    system, path = fsspec.core.url_to_fs(location)
    if any(mark in path for mark in "*?["):
        found = [str(each) for each in system.glob(path)]
    elif system.isdir(path):
        found = [each for each in system.find(path) if each.lower().endswith((*CSV_ENDINGS, *PARQUET_ENDINGS))]
    else:
        found = [path] if system.exists(path) else []
    if not found:
        raise DraftRefused(f"{location} has no CSV or Parquet file: expected a file, a folder of them, or a glob")
    return sorted(found)


def _make_local(location: str, path: str, folder: Path) -> Path:
    """The file itself, or a copy of a remote or compressed one."""
    system, _ = fsspec.core.url_to_fs(location)
    if isinstance(system, fsspec.implementations.local.LocalFileSystem) and not path.endswith((".gz", ".zst")):
        return Path(path)
    copy = folder / f"{len([*folder.iterdir()])}-{Path(path).name.removesuffix('.gz').removesuffix('.zst')}"
    with fsspec.open(system.unstrip_protocol(path), "rb", compression="infer") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target, PIECE_BYTES)
    return copy


def _open_parquet(files: Mapping[str, Path]) -> DataTable:
    scans = {name: pl.scan_parquet(path) for name, path in files.items()}
    return _join_files(scans, {name: scan.collect_schema().names() for name, scan in scans.items()}, {})


def _open_csv(files: Mapping[str, Path], folder: Path) -> DataTable:
    encodings = {find_encoding(_read_pieces(path)) for path in files.values()}
    encoding = (
        encodings.pop() if len(encodings) == 1 else next(each for each in ("cp1252", "latin-1") if each in encodings)
    )
    dialects = {name: _find_file_dialect(name, path, encoding) for name, path in files.items()}
    first = next(iter(dialects.values()))
    if odd := [name for name, each in dialects.items() if each.separator != first.separator]:
        raise DraftRefused(f"{odd[0]} has another separator than {next(iter(files))}: write all files alike")
    paths = {name: _make_utf8(path, encoding, folder) for name, path in files.items()}
    scans = {name: _scan_csv(paths[name], dialect) for name, dialect in dialects.items()}
    return _join_files(scans, {name: each.names for name, each in dialects.items()}, _list_options(first))


def _read_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _find_file_dialect(name: str, path: Path, encoding: str) -> Dialect:
    with path.open("rb") as file:
        return find_dialect(file.read(HEAD_BYTES), encoding, Path(name).name)


def _make_utf8(path: Path, encoding: str, folder: Path) -> Path:
    if encoding == "utf-8":
        return path
    copy = folder / f"{len([*folder.iterdir()])}-{path.name}"
    with path.open(encoding=encoding, newline="") as source, copy.open("w", encoding="utf-8", newline="") as target:
        shutil.copyfileobj(source, target, PIECE_BYTES)
    return copy


def _scan_csv(path: Path, dialect: Dialect) -> pl.LazyFrame:
    return pl.scan_csv(
        path,
        separator=dialect.separator,
        quote_char=dialect.quote or None,
        has_header=dialect.has_header,
        new_columns=None if dialect.has_header else [*dialect.names],
        infer_schema=False,
        null_values=[""],
    )


def _list_options(dialect: Dialect) -> dict[str, Any]:
    defaults = Dialect("utf-8", ",", '"', (), True)
    options = {name: getattr(dialect, name) for name in ("separator", "quote", "encoding")}
    options = {name: value for name, value in options.items() if value != getattr(defaults, name)}
    return options if dialect.has_header else {**options, "columns": dialect.names}


def _join_files(
    scans: Mapping[str, pl.LazyFrame], names: Mapping[str, Sequence[str]], options: Mapping[str, Any]
) -> DataTable:
    """The columns that all files have, in the order of the first."""
    first, *others = names
    shared = [name for name in names[first] if all(name in names[other] for other in others)]
    if not shared:
        lonely = next(other for other in others if not set(names[first]) & set(names[other]))
        raise DraftRefused(
            f"{Path(lonely).name} has no column of {Path(first).name}: it has {list_names(names[lonely])}, and not "
            f"{list_names(names[first])}; pass the files of one table"
        )
    every = dict.fromkeys(column for each in names.values() for column in each)
    left_out = {column: reason for column in every if (reason := _find_exclusion(column, names))}
    rows = [scan.select([column for column in shared if column not in left_out]) for scan in scans.values()]
    return DataTable(pl.concat(rows, how="vertical_relaxed"), options, left_out)


def _find_exclusion(column: str, names: Mapping[str, Sequence[str]]) -> str:
    """Why no schema can have a column; empty where one can."""
    lacking = [Path(file).name for file, columns in names.items() if column not in columns]
    return f"the file {lacking[0]} hasn't it" if lacking else find_name_fault(column)


def _open_query(url: str, query: str) -> DataTable:
    from penumbra.sources import SqlQuery  # its drivers are imported only where they are used

    raise NotImplementedError(SqlQuery, url, query)
