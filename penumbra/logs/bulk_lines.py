"""Lines of a log made of columns: a closed segment of many entries, without a Python object for each of them.

A line is what `penumbra.logs.append_log` writes: an `id` first, a checksum last. The position in an id has as many
digits whatever it is, so that where each line begins is known before the ids are filled in.
"""

import functools
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl

from penumbra.logs.append_log import CHECK_BYTES, CHECK_MARKER, ENTRY_ID_PATTERN

POSITION_DIGITS = 8
PIECE_ROWS = 4096  # some megabytes
ID_START = b'{"id":"'
LINE_END = b'"}\n'
MAX_SEGMENT_BYTES = 1 << 32  # that so many digits can address
HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
DIGIT_SHIFTS = np.arange(4 * (POSITION_DIGITS - 1), -1, -4)
WRITTEN_AS_THEY_ARE = (pl.Boolean, pl.String, pl.Enum, pl.Categorical, pl.Date, pl.Datetime)


def can_write_columns(schema: Mapping[str, pl.DataType]) -> bool:
    """Check whether columns can be written as JSON at once, with the values that the encoder of single entries writes.

    Args:
        schema: The dtypes by column.

    Returns:
        False where there are decimals, durations, times of day, binary or nested values.
    """
    return all(
        isinstance(dtype, WRITTEN_AS_THEY_ARE) or (dtype.is_numeric() and not isinstance(dtype, pl.Decimal))
        for dtype in schema.values()
    )


def write_times_as_text(rows: pl.DataFrame) -> pl.DataFrame:
    """Write times as the logs have them, those with a zone in UTC; a column without fractions of seconds without such.

    Args:
        rows: Columns of dtypes that `can_write_columns` admits.

    Returns:
        The rows, with String in place of Datetime.
    """
    times = {name: dtype for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)}
    texts = [_format_times(rows[name], bool(dtype.time_zone)) for name, dtype in times.items()]
    return rows.with_columns(texts)


def write_segment(path: Path, tables: Sequence[pl.DataFrame], others: Sequence[bytes] = ()) -> pl.Series:
    """Write a whole segment, some thousand lines at a time, which stay in the processor's cache meanwhile.

    Args:
        path: The file to create, which has the segment's name: 17 hexadecimal digits.
        tables: Entries: a column for each of their fields but `id`, in the order of the fields; those of another table
            may have other fields.
        others: JSON objects without an `id`, each with at least one field, which follow.

    Returns:
        The id of each line (String), those of `tables` first.

    Raises:
        ValueError: The name is none of a segment, or there are more than 4 GiB.
        OSError: The file can't be written.
    """
    if not ENTRY_ID_PATTERN.fullmatch(f"{path.stem}-0"):
        raise ValueError(f"{path.stem!r} is no segment's name: expected 17 hexadecimal digits")
    starts = list[np.ndarray]()
    with path.open("wb") as file:
        for piece in _encode_pieces(path.stem, tables, others):
            content, position = piece.getbuffer(), file.tell()
            if position + len(content) > MAX_SEGMENT_BYTES:
                raise ValueError(f"over {position:,} bytes in one segment: expected at most {MAX_SEGMENT_BYTES:,}")
            starts.append(_fill_in(content, path.stem, position))
            file.write(content)
    return _name_entries(path.stem, np.concatenate(starts or [np.zeros(0, np.int64)]))


def _encode_pieces(segment: str, tables: Sequence[pl.DataFrame], others: Sequence[bytes]) -> Iterator[io.BytesIO]:
    """Encode some lines after the other, with zeros in place of positions and checksums."""
    zeros = "0" * POSITION_DIGITS
    for entries in tables:
        unnumbered = entries.select(pl.lit(f"{segment}-{zeros}").alias("id"), pl.all(), pl.lit(zeros).alias("crc"))
        for some in unnumbered.iter_slices(PIECE_ROWS):
            some.write_ndjson(piece := io.BytesIO())
            yield piece
    head, tail = ID_START + f'{segment}-{zeros}",'.encode(), CHECK_MARKER + zeros.encode() + LINE_END
    for start in range(0, len(others), PIECE_ROWS):
        some_others = others[start : start + PIECE_ROWS]
        yield io.BytesIO(b"".join([b"%b%b%b" % (head, other[1:-1], tail) for other in some_others]))


def _fill_in(content: memoryview, segment: str, position: int) -> np.ndarray:
    """Fill in the positions of lines, the first of them at a `position`, and the checksums; returns the positions."""
    letters = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    starts = np.concatenate((np.zeros(min(len(ends), 1), int), ends[:-1] + 1))
    _write_hexadecimal(letters, starts + len(ID_START) + len(segment) + 1, position + starts)
    bodies = map(slice, starts.tolist(), (ends - CHECK_BYTES).tolist())
    checksums = np.fromiter(map(crc32, map(content.__getitem__, bodies)), np.int64, len(ends))
    _write_hexadecimal(letters, ends + 1 - len(LINE_END) - POSITION_DIGITS, checksums)
    return position + starts


def _name_entries(segment: str, positions: np.ndarray) -> pl.Series:
    table = _list_half_words()
    halves = pl.DataFrame({"high": table[positions >> 16], "low": table[positions & 0xFFFF]})
    return halves.select(pl.concat_str(pl.lit(f"{segment}-"), "high", "low").alias("id")).to_series()


def _write_hexadecimal(letters: np.ndarray, places: np.ndarray, numbers: np.ndarray) -> None:
    letters[places[:, None] + np.arange(POSITION_DIGITS)] = HEX_DIGITS[(numbers[:, None] >> DIGIT_SHIFTS) & 15]


@functools.cache
def _list_half_words() -> pl.Series:
    return pl.Series([f"{number:04x}" for number in range(1 << 16)])


def _format_times(times: pl.Series, has_zone: bool) -> pl.Series:
    moments = times.dt.cast_time_unit("us")
    whole = "%Y-%m-%dT%H:%M:%S" if not (moments.dt.microsecond() != 0).any() else "%Y-%m-%dT%H:%M:%S%.6f"
    return (moments.dt.convert_time_zone("UTC") if has_zone else moments).dt.strftime(whole + "Z" * has_zone)
