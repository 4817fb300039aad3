"""The table of a part of a log's archive: lines as columns, and written so that they can be read back."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from penumbra.logs.archiving.archive_parts import ROW_PREFIX, DamagedArchive
from penumbra.logs.line_decoding import blank_damaged_lines, decode_each_line
from penumbra.logs.schema import ArchivedPrediction

LOGGED_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.fZ"
COMPRESSION_LEVEL = 1  # of zstd: files are as large as at its default of 3, and written in a fifth less processor time
RowReader = Callable[[Sequence[bytes]], Any]

_decoder = msgspec.json.Decoder(ArchivedPrediction)


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

    whole = blank_damaged_lines(lines)
    read = [entry or ArchivedPrediction() for entry in decode_each_line(_decoder, whole)]
    columns = {name: list(map(attrgetter(name), read)) for name in ArchivedPrediction.__struct_fields__}
    text, raw = _split_text(pl.Series("raw", lines, pl.Binary))
    known = pl.DataFrame({name: pl.Series(name, values, strict=False) for name, values in columns.items()})
    time = pl.col("time").cast(pl.String).str.to_datetime(LOGGED_TIME_FORMAT, time_zone="UTC", strict=False)
    typed = [each.alias(ROW_PREFIX + each.name) for each in rows(whole)] if rows else []
    return known.with_columns(time, text.alias("line"), raw, *typed)


def write_archive_frames(frames: Sequence[Any], path: Path) -> None:
    """Write the table of a part, and read its lines again.

    Args:
        frames: Frames as `build_archive_frame` returns them, in the order of the rows.
        path: The file to write.

    Raises:
        DamagedArchive: Where the lines read back differently.
    """
    import polars as pl

    frame = pl.concat(frames, how="vertical_relaxed")
    frame.write_parquet(path, compression_level=COMPRESSION_LEVEL)
    if not pl.read_parquet(path, columns=["line", "raw"]).equals(frame.select("line", "raw")):
        raise DamagedArchive(f"{path} reads back differently from what was written")


def _split_text(lines: Any) -> tuple[Any, Any]:
    """Lines as text, null where one isn't text; and those that aren't, null where one is."""
    import polars as pl

    try:
        return lines.cast(pl.String), pl.Series("raw", [None] * len(lines), pl.Binary)
    except pl.exceptions.PolarsError:
        text = pl.Series([_decode_text(line) for line in lines], dtype=pl.String)
        return text, lines.zip_with(text.is_null(), pl.Series([None], dtype=pl.Binary))


def _decode_text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None
