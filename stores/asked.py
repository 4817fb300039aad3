"""What was asked on some days: the prediction log's records by the rows' own time, found by the index of labels."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import msgspec
import polars as pl

from stores import archive, log
from stores.index import Index
from stores.log import SUFFIX

IDS = "SELECT id FROM predictions WHERE event >= ? AND event < ? ORDER BY id"


class _Line(msgspec.Struct):
    id: str
    record: dict[str, Any]


_decode = msgspec.json.Decoder(_Line).decode


def asked(index: Index, begin: dt.date, end: dt.date, schema: Any) -> pl.DataFrame:
    """The records whose row's time is from `begin` to before `end` (UTC), with the columns of the contract of `schema`,
    the problem's module of that name; what doesn't fit a column's type is null. Call it with the index up to date."""
    wanted: dict[str, list[str]] = {}
    for name in _ids(index, begin, end):
        wanted.setdefault(name.partition("-")[0], []).append(name)
    records = [
        line.record for segment, content in _segments(index, wanted) for line in _lines(content, wanted[segment])
    ]
    columns = schema.Row.columns()
    return pl.DataFrame([_column(name, column.dtype, records) for name, column in columns.items()])


def _ids(index: Index, begin: dt.date, end: dt.date) -> list[str]:
    moments = [dt.datetime.combine(day, dt.time(), dt.UTC).timestamp() for day in (begin, end)]
    with index.open() as db:
        return [row[0] for row in db.execute(IDS, moments)]


def _segments(index: Index, wanted: dict[str, list[str]]) -> Iterator[tuple[str, bytes]]:
    folder = index.predictions
    for segment in wanted:
        if (path := folder / (segment + SUFFIX)).exists():
            yield segment, path.read_bytes()
    yield from archive.deleted_segments(folder, lambda segment: segment not in wanted)


def _lines(content: bytes, wanted: list[str]) -> Iterator[_Line]:
    for name in wanted:
        match = log.ID.fullmatch(name)
        position = int(match[2], 16) if match else len(content)
        line = _decode(content[position : content.find(b"\n", position)])
        if line.id == name:
            yield line


def _column(name: str, dtype: Any, records: list[dict[str, Any]]) -> pl.Series:
    values = [record.get(name) for record in records]
    text = pl.Series(name, values, pl.String, strict=False) if dtype.is_temporal() else None
    if text is not None and dtype == pl.Datetime:
        return text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if text is not None:
        return text.str.to_date(strict=False)
    plain = pl.String if isinstance(dtype, pl.Enum) else dtype
    return pl.Series(name, values, plain, strict=False)
