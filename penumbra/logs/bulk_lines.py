"""Lines of a log made of columns: a closed segment of many entries, without a Python object for each of them.

A line is what `penumbra.logs.append_log` writes: an `id` first, a checksum last. The position in an id has as many
digits whatever it is, so that where each line begins is known before the ids are filled in.
"""

import functools
import io
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
import polars as pl

from penumbra.logs.append_log import CHECK_BYTES, CHECK_MARKER, ENTRY_ID_PATTERN

POSITION_DIGITS = 8
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


def encode_segment(
    segment: str, tables: Sequence[pl.DataFrame], others: Sequence[bytes] = ()
) -> tuple[memoryview, pl.Series]:
    """Encode the content of a whole segment.

    Args:
        segment: The segment's name, 17 hexadecimal digits.
        tables: Entries: a column for each of their fields but `id`, in the order of the fields; those of another table
            may have other fields.
        others: JSON objects without an `id`, each with at least one field, which follow.

    Returns:
        The lines, and the id of each (String), those of `tables` first.

    Raises:
        ValueError: The name is none of a segment, or there are more than 4 GiB.
    """
    if not ENTRY_ID_PATTERN.fullmatch(f"{segment}-0"):
        raise ValueError(f"{segment!r} is no segment's name: expected 17 hexadecimal digits")
    zeros, buffer = "0" * POSITION_DIGITS, io.BytesIO()
    for entries in tables:
        unnumbered = entries.select(pl.lit(f"{segment}-{zeros}").alias("id"), pl.all(), pl.lit(zeros).alias("crc"))
        unnumbered.write_ndjson(buffer)
    head, tail = ID_START + f'{segment}-{zeros}",'.encode(), CHECK_MARKER + zeros.encode() + LINE_END
    buffer.writelines(b"%b%b%b" % (head, other[1:-1], tail) for other in others)
    content = buffer.getbuffer()
    if len(content) > MAX_SEGMENT_BYTES:
        raise ValueError(f"{len(content):,} bytes in one segment: expected at most {MAX_SEGMENT_BYTES:,}")
    return content, _fill_in(content, segment)


def _fill_in(content: memoryview, segment: str) -> pl.Series:
    """Fill in the positions and the checksums of lines; returns the ids."""
    letters = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    starts = np.concatenate((np.zeros(min(len(ends), 1), int), ends[:-1] + 1))
    _write_hexadecimal(letters, starts + len(ID_START) + len(segment) + 1, starts)
    bodies = map(slice, starts.tolist(), (ends - CHECK_BYTES).tolist())
    checksums = np.fromiter(map(crc32, map(content.__getitem__, bodies)), np.int64, len(ends))
    _write_hexadecimal(letters, ends + 1 - len(LINE_END) - POSITION_DIGITS, checksums)
    table = _list_half_words()
    halves = pl.DataFrame({"high": table[starts >> 16], "low": table[starts & 0xFFFF]})
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
