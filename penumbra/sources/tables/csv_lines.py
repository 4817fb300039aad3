"""The lines of CSV content: where records end, and what is between them."""

import codecs
import mmap
import re

import numpy as np

NEWLINE, RETURN = 10, 13


def find_record_ends(content: bytes, quote: str) -> np.ndarray:
    """Find where records end: at each newline that no quotation marks are around.

    Args:
        content: Bytes that begin with a record.
        quote: The character around values; "" for none.

    Returns:
        The positions after these newlines; int64 [n]. Empty lines are no records.
    """
    codes = np.frombuffer(content, np.uint8)
    ends = _find_line_ends(codes, quote)
    return ends[~_find_empty_lines(codes, ends)]


def drop_empty_lines(content: bytes, quote: str) -> bytes:
    """Leave out empty lines, which some readers take for rows without values.

    Args:
        content: Bytes that begin with a record.
        quote: The character around values, within which lines stay; "" for none.

    Returns:
        The other bytes, without a mark of the encoding where anything is left out.
    """
    unmarked = content.removeprefix(codecs.BOM_UTF8)
    if not may_have_empty_lines(unmarked):
        return content
    codes = np.frombuffer(unmarked, np.uint8)
    ends = _find_line_ends(codes, quote)
    empty = ends[_find_empty_lines(codes, ends)]
    is_kept = np.ones(len(codes), bool)
    is_kept[empty - 1] = False
    is_kept[empty[(empty > 1) & (codes[empty - 2] == RETURN)] - 2] = False
    return codes[is_kept].tobytes()


def drop_blanks_beside_quotes(content: bytes, separator: str, quote: str) -> bytes:
    """Leave out the blanks between separators and quotation marks, with which polars takes the marks for text.

    Args:
        content: Bytes that begin with a record.
        separator: The character between values.
        quote: The character around values; "" for none.

    Returns:
        The other bytes: `1, "a, b" ,2` is `1,"a, b",2`. Marks that are doubled within a value stay as they are.
    """
    if not quote or (f" {quote}".encode() not in content and f"{quote} ".encode() not in content):
        return content
    between, mark = re.escape(separator.encode()), re.escape(quote.encode())
    opened = re.sub(rb"(?m)(^|%b) +(?=%b(?!%b[^%b \r\n]))" % (between, mark, mark, between), rb"\1", content)
    return re.sub(rb"(?m)(?<!%b)(%b) +(?=%b|\r?$)" % (mark, mark, between), rb"\1", opened)


def may_have_empty_lines(content: bytes | mmap.mmap) -> bool:
    """Check quickly whether there are empty lines.

    Args:
        content: Any bytes.

    Returns:
        Whether there are some, perhaps within quotation marks.
    """
    is_first_empty = content[:1] == b"\n" or content[:2] == b"\r\n"
    return is_first_empty or content.find(b"\n\n") >= 0 or content.find(b"\n\r\n") >= 0


def has_lone_returns(content: bytes, quote: str) -> bool:
    """Check whether lines end with a carriage return alone.

    Args:
        content: Bytes that begin with a record.
        quote: The character around values; "" for none.

    Returns:
        Whether one stands outside quotation marks, without a newline behind it.
    """
    unquoted = b"".join(content.split(quote.encode())[::2]) if quote else content
    return b"\r" in unquoted.replace(b"\r\n", b"")


def _find_line_ends(codes: np.ndarray, quote: str) -> np.ndarray:
    newlines = np.flatnonzero(codes == NEWLINE)
    if quote:
        marks = np.flatnonzero(codes == ord(quote))
        newlines = newlines[np.searchsorted(marks, newlines) % 2 == 0]
    return newlines + 1


def _find_empty_lines(codes: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which of the lines with these ends have nothing but their ending."""
    starts = np.roll(ends, 1)
    starts[:1] = 0
    lengths = ends - starts
    return (lengths == 1) | ((lengths == 2) & (codes[starts] == RETURN))
