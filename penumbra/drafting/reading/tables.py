"""Tables of data as they stand: CSV and Parquet files, folders of them, and queries, as one lazy frame."""

import contextlib
import mmap
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_text
from penumbra.core.text.quoting import list_names, quote_value
from penumbra.drafting.draft import DraftRefused
from penumbra.drafting.reading.dialect import ASCII, HEAD_BYTES, WESTERN_ENCODINGS, Dialect, find_dialect, find_encoding
from penumbra.drafting.reading.names import find_name_fault
from penumbra.sources.databases import drop_statement_end, open_database
from penumbra.sources.tables.csv_lines import may_have_empty_lines
from penumbra.sources.tables.csv_records import scan_csv_table
from penumbra.sources.tables.csv_tables import CsvLayout, read_csv_table
from penumbra.sources.tables.locations import TableFile, find_table_files, is_parquet
from penumbra.sources.tables.parquet_tables import drop_stand_ins, read_parquet_table
from penumbra.sources.tables.plain_files import open_plain_file
from penumbra.sources.tables.text_values import clean_text

READ_BY_QUERY = "have a query read it, as with --from duckdb:// --query \"select * from read_json('{location}')\""
RENAMED_ADVICE = "if it is the same column, see 'A column that was renamed' in docs/recipes.md"
FOREIGN_FILES = {
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), f"JSON: {READ_BY_QUERY}"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), "a spreadsheet: save it as CSV, dates as 2024-03-01"),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".avro", ".pkl"), "no CSV or Parquet: write it as Parquet"),
    **dict.fromkeys((".duckdb", ".db", ".sqlite", ".sqlite3"), "a database: pass a --query that gives its rows"),
}
LAYOUT_OPTIONS = [each.name for each in fields(CsvLayout)]


@dataclass(frozen=True)
class DataTable:
    """A table whose columns are text, or have the dtypes that they have in the data.

    Attributes:
        rows: All rows.
        options: Keyword arguments of the source that differ from its defaults.
        left_out: By column that `rows` hasn't, since no schema could have it, the reason as a phrase.
        files: The files, plain and in UTF-8, by their names; none of a query.
        parts: The rows of each file.
        location: Where it was opened.
    """

    rows: pl.LazyFrame
    options: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    parts: Sequence[pl.LazyFrame] = ()
    location: str = ""


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
        try:
            table = _open_query(location, query) if query else _open_files(location, Path(folder))
        except DraftRefused:
            raise
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise DraftRefused(mask_text(str(error))) from error
        yield replace(table, location=location)


def clean_table(table: DataTable, words: Sequence[str], trim_blanks: bool) -> DataTable:
    """Have the text of a table cleaned.

    Args:
        table: The table.
        words: The words that stand for a missing value; the empty text is one anyway.
        trim_blanks: Whether blanks around a text are left out.

    Returns:
        The table, whose source is told as well.
    """
    options = {**table.options, **({"null_words": ("", *words)} if words else {})}
    if trim_blanks:
        options["trim_blanks"] = True
    return replace(table, rows=clean_text(table.rows, words, trim_blanks), options=options)


def describe_unreadable_rows(table: DataTable, error: Exception) -> str:
    """Describe why the rows of a table can't be read.

    Args:
        table: The table.
        error: What polars says.

    Returns:
        A sentence; of a CSV file with its line where that can be told.
    """
    layout = CsvLayout(**{name: value for name, value in table.options.items() if name in LAYOUT_OPTIONS})
    for name, path in table.files.items():
        if is_parquet(name):
            continue
        try:
            read_csv_table(path.read_bytes(), layout, name)
        except ValueError as found:
            return str(found)
    return describe_error(error)


def _open_query(url: str, query: str) -> DataTable:
    with open_database(url) as database:
        rows = database.read_table(drop_statement_end(query), {})
    return _join_files({"the query": drop_stand_ins(rows.lazy())}, {})


def _open_files(location: str, folder: Path) -> DataTable:
    files = find_table_files([location])
    _check_suffixes(files, location)
    if len({file.is_parquet for file in files}) > 1:
        raise DraftRefused(f"{location} has CSV and Parquet files: keep one kind there, or pass a glob such as '*.csv'")
    return _open_parquet(files, folder) if files[0].is_parquet else _open_csv(files, folder)


def _check_suffixes(files: Sequence[TableFile], location: str) -> None:
    """Raise DraftRefused for a file that is another kind of table by its name; as CSV it would have odd columns."""
    for file in files:
        if what := FOREIGN_FILES.get(Path(file.name).suffix.lower()):
            raise DraftRefused(f"{file.name} is {what.format(location=location)}")


def _open_parquet(files: Sequence[TableFile], folder: Path) -> DataTable:
    paths = {file.name: open_plain_file(file, "utf-8", folder) for file in files}
    names = [name for path in paths.values() for name in pl.scan_parquet(path, glob=False).collect_schema()]
    is_padded = any(name != name.strip() for name in names)
    scans = {name: read_parquet_table(path, name, trim_blanks=is_padded) for name, path in paths.items()}
    return replace(_join_files(scans, {"trim_blanks": True} if is_padded else {}), files=paths)


def _open_csv(files: Sequence[TableFile], folder: Path) -> DataTable:
    as_they_are = {file.name: open_plain_file(file, "utf-8", folder) for file in files}
    encoding = _find_common_encoding({name: find_encoding(path, name) for name, path in as_they_are.items()})
    dialects = {name: _find_file_dialect(name, path, encoding) for name, path in as_they_are.items()}
    first = dialects[files[0].name]
    if odd := [name for name, each in dialects.items() if each.separator != first.separator]:
        raise DraftRefused(f"{odd[0]} has another separator than {files[0].name}: write all files alike")
    paths = {file.name: open_plain_file(file, encoding, folder) for file in files}
    scans = {name: _scan_csv(name, paths[name], dialect) for name, dialect in dialects.items()}
    is_padded = any(dialect.trim_blanks for dialect in dialects.values())
    return replace(_join_files(scans, _list_options(replace(first, trim_blanks=is_padded))), files=paths)


def _find_file_dialect(name: str, path: Path, encoding: str) -> Dialect:
    with path.open("rb") as file:
        return find_dialect(file.read(HEAD_BYTES), encoding, name)


def _find_common_encoding(encodings: Mapping[str, str]) -> str:
    """The encoding that reads all files. Raises DraftRefused where none does; ASCII is UTF-8 and Western, too."""
    found = {encoding: name for name, encoding in encodings.items()}
    telling = [encoding for encoding in found if encoding != ASCII] or ["utf-8"]
    western = [encoding for encoding in WESTERN_ENCODINGS if encoding in telling]
    if len(western) == len(telling):
        return western[0]
    if len(telling) == 1 and (ASCII not in found or telling == ["utf-8"]):
        return telling[0]
    (one, first), (other, second) = list(found.items())[:2]
    raise DraftRefused(f"{first} is in {one} and {second} in {other}: write all files in one encoding")


def _scan_csv(name: str, path: Path, dialect: Dialect) -> pl.LazyFrame:
    """The rows of a file, by polars itself where it can: it is three times as fast, but takes empty lines for rows, and
    quotation marks behind blanks for text."""
    columns = () if dialect.has_header else dialect.names
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if dialect.trim_blanks or may_have_empty_lines(content):
            layout = CsvLayout(dialect.separator, dialect.quote, columns=columns, trim_blanks=dialect.trim_blanks)
            return scan_csv_table(path, layout, name)
    return pl.scan_csv(
        path,
        glob=False,
        separator=dialect.separator,
        quote_char=dialect.quote or None,
        has_header=dialect.has_header,
        new_columns=[*dialect.names],
        infer_schema=False,
        null_values=[""],
    )


def _list_options(dialect: Dialect) -> dict[str, Any]:
    defaults = Dialect("utf-8", ",", '"', (), has_header=True, trim_blanks=False)
    options = {name: getattr(dialect, name) for name in ("separator", "quote", "encoding", "trim_blanks")}
    options = {name: value for name, value in options.items() if value != getattr(defaults, name)}
    return options if dialect.has_header else {**options, "columns": dialect.names}


def _join_files(scans: Mapping[str, pl.LazyFrame], options: Mapping[str, Any]) -> DataTable:
    """The columns that all files have, in the order of the first."""
    names = {name: scan.collect_schema().names() for name, scan in scans.items()}
    first, *others = names
    shared = [name for name in names[first] if all(name in names[other] for other in others)]
    if not shared:
        lonely = next(other for other in others if not set(names[first]) & set(names[other]))
        raise DraftRefused(
            f"{lonely} has no column of {first}: it has {list_names(names[lonely])}, and not "
            f"{list_names(names[first])}; pass the files of one table"
        )
    every = dict.fromkeys(column for each in names.values() for column in each)
    left_out = {column: reason for column in every if (reason := _find_exclusion(column, names))}
    rows = [scan.select([column for column in shared if column not in left_out]) for scan in scans.values()]
    _check_dtypes([*scans], rows)
    return DataTable(pl.concat(rows, how="vertical_relaxed"), options, left_out, parts=rows)


def _check_dtypes(names: Sequence[str], tables: Sequence[pl.LazyFrame]) -> None:
    """Raise DraftRefused for a column that no dtype can hold as it is in two tables."""
    first, *others = (pl.DataFrame(schema=table.collect_schema()) for table in tables)
    for name, other in zip(names[1:], others, strict=True):
        for one, odd in zip(first, other, strict=True):
            try:
                pl.concat([one.to_frame(), odd.to_frame()], how="vertical_relaxed")
            except pl.exceptions.PolarsError:
                found = f"{quote_value(one.name)} is {one.dtype} in {names[0]} and {odd.dtype} in {name}"
                raise DraftRefused(f"{found}: write all files alike") from None


def _find_exclusion(column: str, names: Mapping[str, Sequence[str]]) -> str:
    """Why no schema can have a column; empty where one can."""
    if not column.strip():
        place = next(each.index(column) for each in map(list, names.values()) if column in each)
        return f"column {place + 1}, which has no name"
    lacking = [file for file, columns in names.items() if column not in columns]
    if lacking:
        every = dict.fromkeys(name for columns in names.values() for name in columns)
        others = [name for name in every if [file for file in names if name in names[file]] == lacking]
        renamed = f"; {quote_value(others[0])} is there in its place: {RENAMED_ADVICE}" if len(others) == 1 else ""
        return f"the file {lacking[0]} hasn't it{renamed}"
    return find_name_fault(column)
