"""The text of a row's key, by which predictions and labels meet: one for all ways to write the same key.

The logs keep a key as it was given. A decimal may have stood there as 12.3 and as 12.30, a time with another offset or
without its zeros, and an older contract may have had another scale or zone.

Times stand first, whatever the order of the contract's columns: what arrives together lies together then in the trees
of the index, of which a pass changes few pages; by other columns it would change about one for each line.
"""

import datetime as dt
import decimal
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import polars as pl
from pydantic_core import PydanticCustomError

from penumbra.core.contract.value_readers import UNIT_MICROSECONDS, make_decimal_reader
from penumbra.logs.append_log import encode_json

Rewrite = Callable[[bytes], bytes]


class KeyEncoder:
    """Writes the keys of one contract."""

    def __init__(self, dtypes: Mapping[str, Any]) -> None:
        """`dtypes` are those of the key's columns, by name and in their order."""
        order = sorted(range(len(dtypes)), key=[not is_time_dtype(dtype) for dtype in dtypes.values()].__getitem__)
        self._width, self._reorder = len(dtypes), itemgetter(*order) if order != sorted(order) else None
        self._rewrites = [(n, rewrite) for n, dtype in enumerate(dtypes.values()) if (rewrite := _make_rewrite(dtype))]

    def encode_values(self, values: Sequence[Any]) -> str:
        """Encode a key as a frame or a record has it.

        Args:
            values: The values of the key's columns.

        Returns:
            A JSON array.
        """
        if not (self._rewrites or self._reorder):
            return encode_json(values).decode()
        return self.encode_json_values([encode_json(value) for value in values])

    def encode_json_values(self, values: Sequence[bytes]) -> str:
        """Encode a key as a log has it.

        Args:
            values: The JSON of each value of the key's columns.

        Returns:
            A JSON array.
        """
        if self._rewrites:
            values = list(values)
            for position, rewrite in self._rewrites:
                if position < len(values):  # an older contract's key may have had fewer columns
                    values[position] = rewrite(bytes(values[position]))
        if self._reorder and len(values) == self._width:
            values = self._reorder(values)
        return f"[{b','.join(values).decode()}]"


def is_time_dtype(dtype: Any) -> bool:
    """Return whether values of a `dtype` are times or days, which stand first in the text of a key."""
    return isinstance(dtype, pl.Date | pl.Datetime)


def _make_rewrite(dtype: Any) -> Rewrite | None:
    """A function from JSON to the one JSON of that value, or None where there is only one."""
    if isinstance(dtype, pl.Decimal):
        return _make_decimal_rewrite(make_decimal_reader(dtype))
    if isinstance(dtype, pl.Datetime):
        return _make_moment_rewrite(UNIT_MICROSECONDS[dtype.time_unit])
    return _rewrite_float if dtype.is_float() else None


def _make_decimal_rewrite(read: Callable[[Any], Any]) -> Rewrite:
    def rewrite(json: bytes) -> bytes:
        try:
            return encode_json(read(decimal.Decimal(json.strip(b'"').decode())))
        except (decimal.InvalidOperation, PydanticCustomError):  # null, or none that this contract admits
            return json

    return rewrite


def _make_moment_rewrite(unit: int) -> Rewrite:
    """Times with an offset in UTC, and no finer than the unit of so many microseconds."""

    def rewrite(json: bytes) -> bytes:
        if len(json) == 22 and json.endswith(b'Z"'):  # whole seconds in UTC, as nearly all are
            return json
        try:
            moment = dt.datetime.fromisoformat(json[1:-1].decode())
            moment = moment.astimezone(dt.UTC) if moment.tzinfo else moment
        except (ValueError, OverflowError):
            return json
        return encode_json(moment.replace(microsecond=moment.microsecond // unit * unit))

    return rewrite


def _rewrite_float(json: bytes) -> bytes:
    value = msgspec.json.decode(json)
    return encode_json(float(value) + 0.0) if type(value) in (int, float) else json  # zero loses its sign
