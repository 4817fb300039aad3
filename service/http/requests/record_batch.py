"""The records of a list in columns: a frame of all of them, and a dictionary of one once it is asked for."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import polars as pl

from penumbra.logs.append_log import encode_lines

MICROSECOND = dt.timedelta(microseconds=1)

RecordDict = dict[str, Any]


class RecordBatch(Sequence[RecordDict]):
    """The records of a list.

    Attributes:
        items: What each record is made of; in JSON it is the record.
        frame: A row for each record, with the contract's columns and dtypes.
    """

    def __init__(
        self, items: Sequence[Any], frame: pl.DataFrame, make_record: Callable[[Any], RecordDict] = lambda item: item
    ) -> None:
        """Take `items` and their `frame`; `make_record` makes a record of one, which needn't be one already."""
        self.items = items
        self.frame = frame
        self._make_record = make_record

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> RecordDict: ...

    @overload
    def __getitem__(self, index: slice) -> "RecordBatch": ...

    def __getitem__(self, index: int | slice) -> "RecordDict | RecordBatch":
        if isinstance(index, slice):
            return RecordBatch(self.items[index], self.frame[index], self._make_record)
        return self._make_record(self.items[index])

    def select(self, indices: Sequence[int]) -> "RecordBatch":
        """Select some of the records.

        Args:
            indices: Which, from 0.

        Returns:
            Those records, in this order.
        """
        return RecordBatch([self.items[each] for each in indices], self.frame[indices], self._make_record)


def encode_record_lines(records: Sequence[RecordDict]) -> list[bytes]:
    """Encode records in one call.

    Args:
        records: The records by column.

    Returns:
        The JSON of each, on one line.
    """
    return encode_lines(records.items if isinstance(records, RecordBatch) else records)


def build_frame(dtypes: Mapping[str, pl.DataType], columns: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    """Build a frame of Python values.

    Args:
        dtypes: The dtypes by column.
        columns: The values of each column, as a contract reads them.

    Returns:
        The columns of `dtypes` in their order.
    """
    return pl.DataFrame([_build_column(name, dtype, columns[name]) for name, dtype in dtypes.items()])


def _build_column(name: str, dtype: pl.DataType, values: Sequence[Any]) -> pl.Series:
    """Return the column of these values; polars itself takes six times as long for times."""
    if not isinstance(dtype, pl.Datetime):
        return pl.Series(name, values, dtype=dtype)
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC if dtype.time_zone else None)
    micros = [None if value is None else (value - epoch) // MICROSECOND for value in values]
    return pl.Series(name, micros, dtype=pl.Int64).cast(pl.Datetime("us", dtype.time_zone)).cast(dtype)
