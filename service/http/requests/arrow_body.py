"""Lists of records as an Arrow IPC stream: read within limits, and turned into the JSON that the contract reads.

So dtypes are taken as far as the same values in JSON would be, and a refusal names row and column in the same words.
"""

import contextlib
import io
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.core.text.faulty_values import format_shown_value
from service.http.refusals import MAX_DETAILS, Fault, RequestRefused

ARROW_MEDIA_TYPE = b"application/vnd.apache.arrow.stream"
CONTINUATION = b"\xff\xff\xff\xff"  # begins a message; the length of its metadata follows, which is 0 at the end
SCHEMA, DICTIONARY, RECORDS = 1, 2, 3  # kinds of messages
HEADER_TYPE, HEADER, BODY_LENGTH = 1, 2, 3  # fields of a message
LENGTH, COMPRESSION = 0, 3  # fields of a batch
DATA = 1  # field of a dictionary, which is a batch
FIELDS, NAME = 1, 0  # field of a schema, and of one of those
MIN_VALUE_BYTES = 2  # of a value in JSON, with its comma
MAX_SHOWN_ERROR = 200  # characters
MICROSECONDS_PER_SECOND = 1_000_000
EXACT_DIGITS, WHOLE_DIGITS = 15, 18
MICROSECONDS_PER_DAY = 86_400 * MICROSECONDS_PER_SECOND
DAYS_FROM_YEAR_1, DAYS_TO_YEAR_10000 = -719_162, 2_932_897  # before and after 1970, as Python's times reach
NANOSECONDS = 1000  # in a microsecond, the finest that the contract reads


class _Malformed(ValueError):
    """It isn't what Arrow's format says."""


def read_arrow_body(body: bytes, max_records: int, max_bytes: int) -> pl.DataFrame:
    """Read an Arrow IPC stream.

    Args:
        body: The stream, whose batches aren't compressed, so that it holds no more than it has bytes.
        max_records: The most rows.
        max_bytes: The most bytes that its values may have as text, as several may share the same bytes in Arrow.

    Returns:
        The rows, with the stream's columns and dtypes.

    Raises:
        RequestRefused: 400, it is no such stream; 413, it has too many rows or bytes.
    """
    try:
        n_rows = sum(_list_batch_lengths(body))
    except (_Malformed, struct.error, IndexError) as error:
        reason = error if isinstance(error, _Malformed) else "its messages refer to what is beyond their end"
        raise RequestRefused(400, f"the body is no Arrow IPC stream without compression: {reason}") from None
    if n_rows > max_records:
        raise RequestRefused(
            413, f"{format_count(n_rows, 'record')} in one request: at most {max_records} are accepted"
        )
    with _refuse_failures("the body is no valid Arrow IPC stream"):
        frame = pl.read_ipc_stream(io.BytesIO(body))
        size = sum(_measure_text(series) for series in frame)
    if size > max_bytes:
        raise RequestRefused(413, f"its values have {size} bytes as text, at most {max_bytes} are accepted")
    return frame


def encode_frame(frame: pl.DataFrame, consequence: str) -> bytes:
    """Encode rows as JSON.

    Args:
        frame: The rows, with any columns and dtypes.
        consequence: What a refusal means, such as "nothing was predicted".

    Returns:
        An array of objects.

    Raises:
        RequestRefused: 422, a value can't be said in JSON: a number that isn't finite, a time finer than a microsecond.
    """
    faults = [fault for series in frame for fault in _find_unsayable(series)]
    if faults:
        words = f"{format_count(len(faults), 'value')} can't be said in JSON, {consequence}"
        raise RequestRefused(422, words, sorted(faults, key=lambda fault: fault.get("index", 0))[:MAX_DETAILS])
    with _refuse_failures("a column's dtype has no form in JSON"):
        exact = frame.cast({each.name: _find_exact_dtype(each.dtype, _has_long_decimals(each)) for each in frame})
        texts = exact.with_columns(pl.col(pl.Binary).bin.encode("base64"), _format_durations(pl.col(pl.Duration)))
        return texts.rechunk().write_json().encode()  # polars' JSON ends at a chunk without rows


@contextlib.contextmanager
def _refuse_failures(reason: str) -> Iterator[None]:
    try:
        yield
    except (Exception, pl.exceptions.PanicException) as error:  # polars panics at some streams, which is no Exception
        raise RequestRefused(400, f"{reason}: {str(error)[:MAX_SHOWN_ERROR]}") from None


def _list_batch_lengths(body: bytes) -> Iterator[int]:
    """The rows of each batch of records, by the messages' metadata alone.

    Raises:
        _Malformed: There is something else, or a batch is compressed.
    """
    position = 0
    while position < len(body):
        if body[position : position + 4] != CONTINUATION:
            raise _Malformed(f"no message begins at byte {position}")
        (size,) = struct.unpack_from("<i", body, position + 4)
        if size == 0:
            return
        metadata = body[position + 8 : position + 8 + max(size, 0)]
        message = struct.unpack_from("<I", metadata)[0]
        kind = struct.unpack_from("<B", metadata, _find_field(metadata, message, HEADER_TYPE))[0]
        if kind == SCHEMA:
            _require_different_names(metadata, _follow(metadata, message, HEADER))
        if kind in (DICTIONARY, RECORDS):
            length = _read_batch_length(metadata, _follow(metadata, message, HEADER), kind)
            if kind == RECORDS:
                yield length
        place = _find_field(metadata, message, BODY_LENGTH)
        rest = struct.unpack_from("<q", metadata, place)[0] if place else 0
        if rest < 0 or size < 0 or position + 8 + size + rest > len(body):
            raise _Malformed(f"the message at byte {position} is not complete")
        position += 8 + size + rest


def _require_different_names(metadata: bytes, schema: int) -> None:
    """Refuse a schema with a column twice, at which polars panics."""
    if not _find_field(metadata, schema, FIELDS):
        return
    fields, names = _follow(metadata, schema, FIELDS), set[bytes]()
    for number in range(1, struct.unpack_from("<I", metadata, fields)[0] + 1):
        place = fields + 4 * number
        name = _follow(metadata, place + struct.unpack_from("<I", metadata, place)[0], NAME)
        text = metadata[name + 4 : name + 4 + struct.unpack_from("<I", metadata, name)[0]]
        if text in names:
            raise _Malformed(f"the column {text.decode(errors='replace')[:MAX_SHOWN_ERROR]!r} is there twice")
        names.add(text)


def _read_batch_length(metadata: bytes, batch: int, kind: int) -> int:
    batch = _follow(metadata, batch, DATA) if kind == DICTIONARY else batch
    if _find_field(metadata, batch, COMPRESSION):
        raise _Malformed("a batch is compressed")
    place = _find_field(metadata, batch, LENGTH)
    length: int = struct.unpack_from("<q", metadata, place)[0] if place else 0
    if length < 0:
        raise _Malformed(f"a batch has {length} rows")
    return length


def _follow(buffer: bytes, table: int, number: int) -> int:
    """The position of the table that a field of a table refers to."""
    place = _find_field(buffer, table, number)
    if not place:
        raise _Malformed("a message lacks a part")
    return place + int(struct.unpack_from("<I", buffer, place)[0])


def _find_field(buffer: bytes, table: int, number: int) -> int:
    """The position of a field of a table of FlatBuffers; 0 where the table doesn't have it."""
    index = table - struct.unpack_from("<i", buffer, table)[0]
    if index < 0:
        raise _Malformed("a message refers to nothing")
    slot = 4 + 2 * number
    if slot >= struct.unpack_from("<H", buffer, index)[0]:
        return 0
    offset = int(struct.unpack_from("<H", buffer, index + slot)[0])
    return table + offset if offset else 0


def _measure_text(series: pl.Series) -> int:
    """At least how many bytes the values of a column are in JSON."""
    dtype = series.dtype
    if isinstance(dtype, pl.List | pl.Array):
        if dtype.inner == pl.Null:
            raise _Malformed("a list is of nothing")
        return _measure_text(series.explode(empty_as_null=False)) if len(series) else 0
    if isinstance(dtype, pl.Struct):
        return sum(map(_measure_text, series.struct.unnest())) + MIN_VALUE_BYTES * len(series)
    if dtype == pl.Binary:
        return int(series.bin.size().sum())
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return int(series.cast(pl.String).str.len_bytes().sum()) + MIN_VALUE_BYTES * len(series)
    return MIN_VALUE_BYTES * len(series)


def _find_unsayable(series: pl.Series) -> Iterator[Fault]:
    """The values of a column that JSON can't say, or not exactly; only the columns of nested ones are named."""
    if series.dtype.is_nested():
        if any(any(_find_unsayable(leaf)) for leaf in _list_leaves(series)):
            yield {"field": series.name, "expected": "finite numbers, and no time finer than a microsecond"}
        return
    if (outside := _find_outside_years(series)).any():
        for index in outside.arg_true():
            yield {"index": index, "field": series.name, "expected": "a time within the years 1 to 9999"}
        return
    if series.dtype.is_float():
        bad, expected = series.is_finite().not_(), "a finite number, or null where it is missing"
    elif series.dtype == pl.Time or getattr(series.dtype, "time_unit", "") == "ns":
        bad, expected = series.to_physical() % NANOSECONDS != 0, "no time finer than a microsecond"
    else:
        return
    for index in bad.arg_true():
        value = series[index]
        shown = str(value) if isinstance(value, float) and not math.isfinite(value) else format_shown_value(value)
        yield {"index": index, "field": series.name, "value": shown, "expected": expected}


def _find_outside_years(series: pl.Series) -> pl.Series:
    """Where a date or time is none of the years 1 to 9999: polars panics when it writes one."""
    if not isinstance(series.dtype, pl.Datetime | pl.Date):
        return pl.Series([], dtype=pl.Boolean)
    units = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
    per_day = 86_400 * units[series.dtype.time_unit] if isinstance(series.dtype, pl.Datetime) else 1
    days = series.to_physical() // per_day
    return (days < DAYS_FROM_YEAR_1) | (days >= DAYS_TO_YEAR_10000)


def _find_exact_dtype(dtype: Any, keeps_decimals: bool) -> Any:
    """The dtype in which polars writes the values of this one exactly: offsets of zones have no seconds in JSON."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: _find_exact_dtype(field.dtype, keeps_decimals) for field in dtype.fields})
    if isinstance(dtype, pl.List):
        return pl.List(_find_exact_dtype(dtype.inner, keeps_decimals))
    if isinstance(dtype, pl.Array):
        return pl.Array(_find_exact_dtype(dtype.inner, keeps_decimals), dtype.size)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return pl.Datetime(dtype.time_unit, "UTC")
    if isinstance(dtype, pl.Decimal) and not keeps_decimals:  # which polars writes as text
        return pl.Int64 if dtype.scale == 0 else pl.Float64
    return pl.Float64 if dtype == pl.Float32 else dtype


def _has_long_decimals(series: pl.Series) -> bool:
    """Whether some decimals have more digits than a JSON number keeps: 15, and 18 of whole ones."""
    decimals = [leaf for leaf in _list_leaves(series) if isinstance(leaf.dtype, pl.Decimal)]
    return any(_is_long(leaf.dtype, leaf.abs().max()) for leaf in decimals)


def _is_long(dtype: Any, largest: Any) -> bool:
    return largest is not None and len(largest.as_tuple().digits) > (EXACT_DIGITS if dtype.scale else WHOLE_DIGITS)


def _format_durations(durations: pl.Expr) -> pl.Expr:
    """ISO 8601 with days, as a count of seconds is bounded."""
    micros = durations.dt.total_microseconds()
    sign, size = pl.when(micros < 0).then(pl.lit("-")).otherwise(pl.lit("")), micros.abs()
    seconds = size % MICROSECONDS_PER_DAY
    parts = seconds // MICROSECONDS_PER_SECOND, (seconds % MICROSECONDS_PER_SECOND).cast(pl.String).str.zfill(6)
    return pl.format("{}P{}DT{}.{}S", sign, size // MICROSECONDS_PER_DAY, *parts).name.keep()


def _list_leaves(series: pl.Series) -> Sequence[pl.Series]:
    if isinstance(series.dtype, pl.List | pl.Array):
        return _list_leaves(series.explode(empty_as_null=False)) if len(series) else []
    if isinstance(series.dtype, pl.Struct):
        return [leaf for field in series.struct.unnest() for leaf in _list_leaves(field)]
    return [series]
