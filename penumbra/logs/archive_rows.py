"""The frame in which a Parquet file of the archive keeps lines of a log."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from penumbra.logs.schema import ArchivedPrediction

ROW_PREFIX = "row."  # before the names of the columns that `rows` reads
RowReader = Callable[[Sequence[bytes]], Any]


def build_archive_frame(lines: Sequence[bytes], rows: RowReader | None) -> Any:
    """Build the frame of some lines, a row for each.

    Args:
        lines: Lines without their ends.
        rows: Reads the lines to a frame of the same height, whose columns are added with the prefix `row.` (a struct
            takes three times as long to read); None for none.

    Returns:
        A polars frame with the columns of `ArchivedPrediction`, null where a line can't be read, `line` (String), `raw`
        (Binary, only of a line that isn't text) and the columns `row.…`.
    """
    import polars as pl

    read = [_decode_or_empty(line) for line in lines]
    columns = {name: [getattr(entry, name) for entry in read] for name in ArchivedPrediction.__struct_fields__}
    text = [_decode_text(line) for line in lines]
    raw = [line if said is None else None for line, said in zip(lines, text, strict=True)]
    known = pl.DataFrame({name: pl.Series(name, values, strict=False) for name, values in columns.items()})
    typed = [each.alias(ROW_PREFIX + each.name) for each in rows(lines)] if rows else []
    return known.with_columns(pl.Series("line", text, pl.String), pl.Series("raw", raw, pl.Binary), *typed)


_decode = msgspec.json.Decoder(ArchivedPrediction).decode


def _decode_or_empty(line: bytes) -> ArchivedPrediction:
    try:
        return _decode(line)
    except (msgspec.MsgspecError, ValueError):
        return ArchivedPrediction()


def _decode_text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None
