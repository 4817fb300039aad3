"""Tables as plain text."""

import polars as pl


def format_table(frame: pl.DataFrame) -> str:
    """Format a frame as aligned columns, strings to the left and numbers to the right.

    Args:
        frame: Any columns; a column named "share" holds shares of 1, which are shown in per cent.

    Returns:
        A line of column names, then a line for each row. Other floats than shares are left out.
    """
    shown = frame.select(pl.all().exclude(pl.Float64), *(_format_share(c) for c in frame.columns if c == "share"))
    rows = [tuple(shown.columns), *(tuple(_format_cell(value) for value in row) for row in shown.iter_rows())]
    widths = [max(len(row[i]) for row in rows) for i in range(shown.width)]
    left = [dtype == pl.String and name != "share" for name, dtype in shown.schema.items()]
    return "\n".join(
        "  ".join(_pad_cell(*cell) for cell in zip(row, widths, left, strict=True)).rstrip() for row in rows
    )


def _format_share(name: str) -> pl.Expr:
    return (pl.col(name) * 100).round(1).cast(pl.String) + " %"


def _format_cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _pad_cell(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)
