"""Tables and numbers as plain text."""

import math
import re
import textwrap
from collections.abc import Sequence

import polars as pl

COLUMN_GAP, MOST_INDENT = re.compile(r"(?<=\S)  +"), 0.6  # between columns; of a line that is broken, at most
SHOWN_DIGITS = 4  # after the point, of a number below 10
ROUNDING_ERROR = 1e-12  # what is smaller is taken for the rest of a sum that should be 0


def align_columns(rows: Sequence[Sequence[str]], left: Sequence[bool] = (True,)) -> str:
    """Align the cells of rows in columns, two blanks apart, each as wide as its longest cell.

    Args:
        rows: The rows, each with the same number of cells.
        left: Of the first columns, whether they are aligned to the left; all others are to the right.

    Returns:
        A line for each row, without blanks at its end.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [*left, *[False] * (len(widths) - len(left))]
    return "\n".join(
        "  ".join(_pad_cell(*cell) for cell in zip(row, widths, sides, strict=True)).rstrip() for row in rows
    )


def wrap_lines(text: str, width: int) -> str:
    """Break long lines of aligned columns at blanks, and go on below the beginning of the last column.

    Args:
        text: The lines.
        width: The most characters of a line, longer words aside.

    Returns:
        The lines; short ones are as they were.
    """
    return "\n".join(piece for line in text.split("\n") for piece in _wrap_line(line, width))


def format_number(value: float, sign: str = "") -> str:
    """Format a number with four digits after the point, fewer where it is 10 or more: "0.5012", "1,834.2".

    Args:
        value: The number.
        sign: "+" for a sign before numbers above 0, too.

    Returns:
        The text; "-" for NaN.
    """
    if math.isnan(value):
        return "-"
    whole = math.floor(math.log10(abs(value))) if abs(value) >= 1 and math.isfinite(value) else 0
    return f"{value:{sign},.{max(0, SHOWN_DIGITS - whole)}f}"


def format_significant(value: float, sign: str = "") -> str:
    """Format a number with four significant digits, however small it is: "0.5012", "1.2e-06"; a rounding error is 0.

    Args:
        value: The number.
        sign: "+" for a sign before numbers above 0, too.

    Returns:
        The text; "-" for NaN.
    """
    if math.isnan(value):
        return "-"
    return f"{0.0 if abs(value) < ROUNDING_ERROR else value:{sign}.4g}"


def format_table(frame: pl.DataFrame) -> str:
    """Format a frame as aligned columns, strings to the left and numbers to the right.

    Args:
        frame: Any columns; a column named "share" holds shares of 1, which are shown in per cent.

    Returns:
        A line of column names, then a line for each row. Other floats than shares are left out.
    """
    shown = frame.select(pl.all().exclude(pl.Float64), *(_format_share(c) for c in frame.columns if c == "share"))
    rows = [tuple(shown.columns), *(tuple(_format_cell(value) for value in row) for row in shown.iter_rows())]
    return align_columns(rows, [dtype == pl.String and name != "share" for name, dtype in shown.schema.items()])


def _format_share(name: str) -> pl.Expr:
    return (pl.col(name) * 100).round(1).cast(pl.String) + " %"


def _format_cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _wrap_line(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    starts = [gap.end() for gap in COLUMN_GAP.finditer(line) if gap.end() <= width * MOST_INDENT]
    indent = " " * (starts[-1] if starts else 0)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _pad_cell(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)
