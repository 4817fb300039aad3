"""CSV files as tables of text, with errors that name the line."""

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import escape_text
from penumbra.sources.tables.csv_lines import drop_blanks_beside_quotes, drop_empty_lines
from penumbra.sources.tables.text_values import clean_text, complete_names

SEPARATORS = (",", ";", "\t", "|")
SHELL_ESCAPED = "\t"  # a shell reads its escape after a dollar sign
UNQUOTED = 'quote="" in the source, or --quote "" of a command'


@dataclass(frozen=True)
class CsvLayout:
    """How a CSV file is written.

    Attributes:
        separator: The character between values.
        quote: The character around values; "" for none.
        null_words: Texts that stand for a missing value.
        columns: The names of the columns where the file has no header line; else empty.
        trim_blanks: Whether blanks around values and names of columns are left out.
    """

    separator: str = ","
    quote: str = '"'
    null_words: Sequence[str] = ("",)
    columns: Sequence[str] = ()
    trim_blanks: bool = False


def read_column_names(header: bytes, layout: CsvLayout, name: str) -> list[str]:
    """Read the names of the columns.

    Args:
        header: A file that begins with its header line.
        layout: How it is written.
        name: What errors call the file.

    Returns:
        The names, as `complete_names` completes them.

    Raises:
        ValueError: A name stands there twice, or the header isn't UTF-8.
    """
    first = next((values for _, values in _read_lines(header, layout, name) if values), [])
    return complete_names(layout.columns or first, name, layout.trim_blanks)


def suggest_separator(names: Sequence[str]) -> str:
    """Suggest another separator to somebody whose table was cut at a wrong one.

    Args:
        names: The names of the columns as they were read.

    Returns:
        The rest of a sentence, where another separator stands between the names; else nothing.
    """
    for mark in SEPARATORS:
        if 0 < len(names) <= sum(name.count(mark) for name in names):
            shown = f"{'$' * (mark == SHELL_ESCAPED)}{mark!r}"
            return f"; {mark!r} separates the names: expected separator={mark!r} in the source, or --separator {shown}"
    return ""


def read_csv_table(
    content: bytes, layout: CsvLayout, name: str, column: str | None = None, lines_before: int = 0
) -> pl.DataFrame:
    """Read a CSV file as text.

    Args:
        content: The file, in UTF-8.
        layout: How it is written.
        name: What errors call the file.
        column: The one column to read, where lines that are too long don't matter; None: all.
        lines_before: How many lines the file has between the header line and those in `content`.

    Returns:
        The columns, of dtype String; null where a value is missing. Empty lines are no rows.

    Raises:
        ValueError: The file isn't readable; names the line where it can be told.
    """
    names = read_column_names(content, layout, name)
    plain = drop_blanks_beside_quotes(content, layout.separator, layout.quote) if layout.trim_blanks else content
    wanted = names if column is None else [column]
    try:
        table = pl.read_csv(
            drop_empty_lines(plain, layout.quote),
            columns=[names.index(each) for each in wanted],
            has_header=not layout.columns,
            separator=layout.separator,
            quote_char=layout.quote or None,
            null_values=list(layout.null_words),
            infer_schema=False,
            truncate_ragged_lines=column is not None,
        )
    except pl.exceptions.PolarsError as error:
        raise ValueError(_describe_fault(content, layout, name, lines_before, error)) from None
    table = table.rename(dict(zip(table.columns, wanted, strict=True)))
    return clean_text(table.lazy(), layout.null_words, trim_blanks=True).collect() if layout.trim_blanks else table


def _describe_fault(content: bytes, layout: CsvLayout, name: str, lines_before: int, error: Exception) -> str:
    """Where a file stops being CSV: the first line with too many values, or what polars says."""
    lines = _read_lines(content, layout, name)
    header = layout.columns or next((values for _, values in lines if values), [])
    width = len(header)
    for number, values in lines:
        if len(values) > width:
            found = escape_text(layout.separator.join(values))
            hint = suggest_separator(header)
            return (
                f"{name}, line {number + lines_before}: {format_count(len(values), 'value')}, expected "
                f"{width}: {found}{hint}"
            )
    return (
        f"{name} isn't readable as CSV ({escape_text(error, most=300)}): expected quotation marks around whole values "
        f"only, or {UNQUOTED}"
    )


def _read_lines(content: bytes, layout: CsvLayout, name: str) -> Iterator[tuple[int, list[str]]]:
    """The values of each record, with the number of its last line. Raises ValueError where the file isn't UTF-8."""
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    quoting: Any = csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE
    reader = csv.reader(
        text,
        delimiter=layout.separator,
        quotechar=layout.quote or None,
        quoting=quoting,
        skipinitialspace=layout.trim_blanks,
    )
    try:
        with contextlib.suppress(csv.Error):  # a value that is too long for this reader
            for values in reader:
                yield reader.line_num, values
    except UnicodeDecodeError:
        raise ValueError(_describe_encoding(content, name)) from None


def _describe_encoding(content: bytes, name: str) -> str:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"{name}, line {line}: byte 0x{content[error.start]:02x} isn't UTF-8"
        return f'{found}: expected the encoding to be named, such as encoding="cp1252" in the source, or --encoding'
    return f"{name} isn't UTF-8"
