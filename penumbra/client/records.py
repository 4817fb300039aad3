"""Records and labels as JSON: values of NumPy and pandas are Python's, and what JSON can't say is refused."""

import datetime as dt
import math
import sys
from decimal import Decimal
from typing import Any

import msgspec

from penumbra.client.errors import InvalidRecord

MAX_SHOWN_RECORD = 100  # bytes
TOO_FINE = "a record has the time {}: expected none that is finer than a microsecond"


def encode_record(record: Any) -> bytes:
    """Encode a record or a label.

    Args:
        record: A mapping by column, or what msgspec encodes as an object. NumPy's scalars and pandas' times are
            Python's, decimals are numbers; NaN, NaT and pandas' NA are null.

    Returns:
        The JSON.

    Raises:
        InvalidRecord: It is no object, or has a value that isn't of JSON, such as infinity, which isn't sent as null.
    """
    try:
        line = _encode(record)
        may_be_infinite = b"null" in line or b"NaN" in line or b"Inf" in line
        plain = (
            msgspec.to_builtins(record, builtin_types=(Decimal,), enc_hook=_unwrap_scalar) if may_be_infinite else None
        )
    except InvalidRecord:
        raise
    except UnicodeEncodeError as error:
        shown = error.object[:MAX_SHOWN_RECORD]
        raise InvalidRecord(f"a record has the text {shown!a}: expected characters that UTF-8 has") from None
    except Exception as error:  # of msgspec, and whatever the values' own types do
        raise InvalidRecord(f"a record has a value that can't be said in JSON: {error}") from error
    if not line.startswith(b"{"):
        shown = line[:MAX_SHOWN_RECORD].decode(errors="replace")
        raise InvalidRecord(f"the record is {shown}: expected an object with its values by column")
    if may_be_infinite:
        _refuse_infinity(plain)
    return line


def _refuse_infinity(value: Any, name: str = "the record") -> None:
    if (isinstance(value, float) and math.isinf(value)) or (isinstance(value, Decimal) and not value.is_finite()):
        raise InvalidRecord(f"{name} is {value}: expected a finite number, or null where it is missing")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_infinity(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            _refuse_infinity(inner, name)


def _unwrap_scalar(value: Any) -> Any:
    if (pandas := sys.modules.get("pandas")) and (value is pandas.NA or value is pandas.NaT):
        return None
    if isinstance(value, dt.datetime | dt.timedelta):
        return _make_plain(value)
    if getattr(value, "size", 0) == 1 and hasattr(value, "item"):
        item = value.item()
        if type(item) is not type(value):
            return _round_time(value) if isinstance(item, int) and value.dtype.kind in "mM" else item
    raise InvalidRecord(f"a record has the value {value!r} of type {type(value).__name__}, which is none of JSON")


def _round_time(value: Any) -> Any:
    """NumPy's times that are stored in nanoseconds, or finer, as Python's in microseconds, the finest of both."""
    micros = value.astype(f"{value.dtype.kind}8[us]")
    if micros.item() is not None and micros != value:
        raise InvalidRecord(TOO_FINE.format(value))
    return micros.item()


def _make_plain(value: dt.datetime | dt.timedelta) -> dt.datetime | dt.timedelta:
    """Python's own time of one of its kind, such as pandas', which may have nanoseconds."""
    if getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0):
        raise InvalidRecord(TOO_FINE.format(value))
    if isinstance(value, dt.datetime):
        return dt.datetime.combine(value.date(), value.timetz())
    return dt.timedelta(value.days, value.seconds, value.microseconds)


_encode = msgspec.json.Encoder(enc_hook=_unwrap_scalar, decimal_format="number").encode
