"""The table of a part of a log's archive: lines as columns, and written so that they can be read back."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from penumbra.logs.append_log import encode_json
from penumbra.logs.archiving.archive_parts import ROW_PREFIX, DamagedArchive
from penumbra.logs.line_decoding import blank_damaged_lines
from penumbra.logs.schema import ArchivedPrediction, ArchivedRow

LOGGED_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.fZ"
MICROSECONDS_FORMAT = "%Y-%m-%dT%H:%M:%S.%6fZ"  # which polars reads in a third of the time
COMPRESSION_LEVEL = 1  # of zstd: files are as large as at its default of 3, and written in a fifth less processor time
RowReader = Callable[[Sequence[bytes]], tuple[Sequence[ArchivedRow | None], Any]]
ARCHIVED_FIELDS, ANSWER_FIELDS = ArchivedPrediction.__struct_fields__, ("output", "decision")

_decode = msgspec.json.Decoder(ArchivedPrediction).decode


def build_archive_frame(lines: Sequence[bytes], rows: RowReader | None) -> Any:
    """Build the frame of some lines, a row for each.

    Args:
        lines: Lines without their ends.
        rows: Reads the lines, as far as they can be read, and a frame of the same height, whose columns are added with
            the prefix `row.` (a struct takes three times as long to read); None for none.

    Returns:
        A polars frame with the columns of `ArchivedPrediction`, null where a line can't be read (the time as the log
        has it), `line` (String), `raw` (Binary, only of a line that isn't text) and the columns `row.…`.
    """
    import polars as pl

    whole = blank_damaged_lines(lines)
    entries, row_columns = rows(whole) if rows else ([None] * len(whole), ())
    read = [entry or _read_entry(line) for entry, line in zip(entries, whole, strict=True)]
    known = [pl.Series(name, list(map(attrgetter(name), read)), strict=False) for name in ARCHIVED_FIELDS]
    text, raw = _split_text(pl.Series("raw", lines, pl.Binary))
    typed = [each.alias(ROW_PREFIX + each.name) for each in row_columns]
    return pl.DataFrame([*known, text.alias("line"), raw, *typed])


def join_archive_frames(frames: Sequence[Any]) -> Any:
    """Join the frames of a part to its table.

    Args:
        frames: Frames as `build_archive_frame` returns them, in the order of the rows.

    Returns:
        A polars frame with their columns, the time as Datetime in UTC, null where it is none: read from all rows at
        once, as a query of polars costs about as much for some thousand. Where no dtype has the answers of all frames,
        output and decision are text: that of classes, or JSON.
    """
    import polars as pl

    kinds = {name: {frame.schema[name] for frame in frames} - {pl.Null} for name in ANSWER_FIELDS}
    if any(pl.Object in found or len({dtype.is_nested() for dtype in found}) > 1 for found in kinds.values()):
        frames = list(map(_tell_as_text, frames))  # the task has become another one in between
    joined = pl.concat(frames, how="vertical_relaxed")
    return joined.with_columns(_parse_times(joined["time"].cast(pl.String)))


def write_archive_frames(frames: Sequence[Any], path: Path) -> None:
    """Write the table of a part, and read its lines again.

    Args:
        frames: As in `join_archive_frames`.
        path: The file to write.

    Raises:
        DamagedArchive: Where the lines read back differently.
    """
    import polars as pl

    frame = join_archive_frames(frames)
    frame.write_parquet(path, compression_level=COMPRESSION_LEVEL)
    if not pl.read_parquet(path, columns=["line", "raw"]).equals(frame.select("line", "raw")):
        raise DamagedArchive(f"{path} reads back differently from what was written")


def _tell_as_text(frame: Any) -> Any:
    """The frame with what was answered as text, of what isn't its JSON."""
    import polars as pl

    others = {name: frame[name].to_list() for name in ANSWER_FIELDS if frame.schema[name] != pl.String}
    texts = {name: [None if said is None else encode_json(said).decode() for said in others[name]] for name in others}
    return frame.with_columns(pl.Series(name, each, pl.String) for name, each in texts.items())


def _read_entry(line: bytes) -> ArchivedPrediction:
    """What the archive's columns have of a line, however little it is."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, ValueError):
        return ArchivedPrediction()


def _parse_times(texts: Any) -> Any:
    """Times as the log has them, which leaves fractions of seconds out where there are none; null where it is none."""
    times = texts.str.to_datetime(MICROSECONDS_FORMAT, time_unit="us", time_zone="UTC", strict=False)
    if times.null_count() == texts.null_count():
        return times
    return texts.str.to_datetime(LOGGED_TIME_FORMAT, time_unit="us", time_zone="UTC", strict=False)


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
