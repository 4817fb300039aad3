"""The dialect of CSV files: encoding, separator, quotation marks and the names of the columns."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penumbra.core.text.quoting import quote_value
from penumbra.drafting.draft import DraftRefused
from penumbra.sources.tables.csv_tables import SEPARATORS
from penumbra.sources.tables.text_values import complete_names

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
ASCII = "ascii"
WESTERN_ENCODINGS = ("latin-1", "cp1252")  # the first reads any byte, so what the second does, too
STRAY_BYTE = re.compile("[\udc80-\udcff]")  # how a byte is decoded that isn't UTF-8
MIN_UTF8 = 0.1  # by stray byte; Western text hardly ever has bytes that are UTF-8
PIECE_BYTES = 1 << 22
HEAD_BYTES = 1 << 20
HEAD_LINES, MAX_TITLE_LINES = 200, 20
MIN_EVEN_LINES = 0.9  # the share of lines with as many fields as the first
MIN_NUMBERS = 0.8  # the share of a column's values that are numbers in a column of numbers
NUMBER = re.compile(r"\s*[+-]?[0-9][0-9.,]*\s*")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        encoding: The name of Python's codec.
        separator: What stands between fields.
        quote: The quotation mark; empty where the files use none.
        names: The columns' names without blanks around them; made up (column_1, …) where the first line has none, or
            not for all.
        has_header: Whether the first line has the names.
        trim_blanks: Whether there are blanks around some of them, or between separators and quotation marks.
    """

    encoding: str
    separator: str
    quote: str
    names: tuple[str, ...]
    has_header: bool
    trim_blanks: bool


def find_encoding(path: Path, name: str) -> str:
    """Find the encoding of a file.

    Args:
        path: The file.
        name: What the file is called in sentences.

    Returns:
        The name of Python's codec: by the mark at the beginning; else ASCII or UTF-8 where all is; else a Western
        European one.

    Raises:
        DraftRefused: The file is UTF-8 in part.
    """
    beginning = next(_read_pieces(path), b"")
    marked = [encoding for mark, encoding in MARKS.items() if beginning.startswith(mark)]
    for encoding in marked or (ASCII, "utf-8"):
        if _is_encoded(path, encoding):
            return encoding
    _check_stray_bytes(path, name)
    return next(encoding for encoding in reversed(WESTERN_ENCODINGS) if _is_encoded(path, encoding))


def find_dialect(head: bytes, encoding: str, name: str) -> Dialect:
    """Find the dialect of a file.

    Args:
        head: The beginning of the file.
        encoding: Its encoding.
        name: What the file is called in sentences.

    Returns:
        The dialect in which most columns stand below each other.

    Raises:
        DraftRefused: The file is empty, has line ends that aren't those of CSV, or is no table.
        ValueError: It has a name twice.
    """
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")
    lines = _cut_lines(text, len(head) >= HEAD_BYTES)
    if not lines:
        raise DraftRefused(f"{name} is empty: expected a line with the columns' names, and rows")
    if lines[0].lower().startswith("sep="):
        raise DraftRefused(
            f"{name} begins with the line {quote_value(lines[0].strip())}: remove it, so that the names are first"
        )
    if lines[0].endswith("\r"):
        raise DraftRefused(f"{name} ends its lines with CR alone: expected LF or CRLF, so save it again")
    separator = max(SEPARATORS, key=lambda each: _rate_separator(lines, each))
    quote = "" if _has_bare_marks(lines, separator) else '"'
    table = _split_lines(lines, separator, quote)
    has_header = not _is_data(table[0], table[1:])
    names = table[0] if has_header else [f"column_{n}" for n in range(1, len(table[0]) + 1)]
    trim_blanks = _has_blanks(lines, separator, has_header)
    return Dialect(
        encoding, separator, quote, tuple(complete_names(names, name, trim_blanks=True)), has_header, trim_blanks
    )


def find_line_of_names(path: Path, name: str) -> int:
    """Find a line with the names of the columns that isn't the first one, as below a title.

    Args:
        path: A CSV file in UTF-8.
        name: A column's name.

    Returns:
        The number of the first line that has the name among more texts than the first line has; 0 where none has.
    """
    with path.open("rb") as file:
        lines = _cut_lines(file.read(HEAD_BYTES).decode(errors="replace"), is_cut=False)[:MAX_TITLE_LINES]
    split = re.compile(f"[{re.escape(''.join(SEPARATORS))}]")
    texts = [[text for each in split.split(line) if (text := each.strip(' "\r\n'))] for line in lines]
    found = (n for n, names in enumerate(texts, 1) if name in names and len(names) > len(texts[0]))
    return next(found, 0)


def _read_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _is_encoded(path: Path, encoding: str) -> bool:
    try:
        for _ in codecs.iterdecode(_read_pieces(path), encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _check_stray_bytes(path: Path, name: str) -> None:
    """Refuse a file that isn't UTF-8, but has characters that are hardly anything else. Raises DraftRefused."""
    read, stray, lines, first = 0, 0, 1, 0
    for text in codecs.iterdecode(_read_pieces(path), "utf-8", "surrogateescape"):
        if not first and (found := STRAY_BYTE.search(text)):
            first = lines + text.count("\n", 0, found.start())
        odd = len(STRAY_BYTE.findall(text))
        read, stray = read + len(text) - odd - len(text.encode("ascii", "ignore")), stray + odd
        lines += text.count("\n")
    if read > MIN_UTF8 * stray:
        raise DraftRefused(f"{name} is UTF-8 in other lines, but not in line {first}: write all of it in one encoding")


def _cut_lines(text: str, is_cut: bool) -> list[str]:
    """The first lines, as they stand; of a head that was cut without the last one."""
    lines = text.splitlines(keepends=True)
    return (lines[:-1] if is_cut and len(lines) > 1 else lines)[:HEAD_LINES]


def _has_bare_marks(lines: Sequence[str], separator: str) -> bool:
    """Whether quotation marks stand within values, as in 5" pipe, and around none."""
    beside, within = rf'(?:^|{re.escape(separator)}) *"', rf'[^"{re.escape(separator)}]"[^"\r\n{re.escape(separator)}]'
    return not any(re.search(beside, line) for line in lines) and any(re.search(within, line) for line in lines)


def _has_blanks(lines: Sequence[str], separator: str, has_header: bool) -> bool:
    """Whether blanks stand around names, or between a separator and a quotation mark."""
    between = re.escape(separator)
    of_marks, of_names = rf'(?:^|{between}) +"|" +(?:{between}|\r?$)', rf"(?:^|{between}) | (?:{between}|\r?$)"
    is_padded = has_header and re.search(of_names, lines[0]) is not None
    return is_padded or any(re.search(of_marks, line) for line in lines)


def _split_lines(lines: Sequence[str], separator: str, quote: str = '"') -> list[list[str]]:
    """Fields by row; a quotation mark may span lines."""
    text = io.StringIO("".join(lines), newline="")
    quoting: Any = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    try:
        rows = csv.reader(text, delimiter=separator, quotechar=quote or None, quoting=quoting, skipinitialspace=True)
        return [row for row in rows if row]
    except csv.Error:
        return []


def _rate_separator(lines: Sequence[str], separator: str) -> tuple[bool, int]:
    """Whether about all rows have as many fields as the first, and how many."""
    widths = [len(row) for row in _split_lines(lines, separator)]
    even = sum(width == widths[0] for width in widths) if widths else 0
    return even > 0 and even >= MIN_EVEN_LINES * len(widths), widths[0] if widths else 0


def _is_data(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line has numbers wherever those below it have."""
    columns = [
        [row[position] for row in rows if len(row) > position and row[position]] for position in range(len(first))
    ]
    numbers = [_is_number(name) for name, values in zip(first, columns, strict=True) if _has_numbers(values)]
    return bool(numbers) and all(numbers)


def _has_numbers(values: Sequence[str]) -> bool:
    return bool(values) and sum(map(_is_number, values)) >= MIN_NUMBERS * len(values)


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None
