"""Some rows of the prediction log by their ids, with what was asked: for reports, which can't be made of all rows."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from stores import archive, log
from stores.index import Index

IDS = "SELECT id FROM predictions WHERE model = ? AND event >= ? AND event < ?"


def answered(index: Index, model: str, begin: dt.date, end: dt.date) -> pl.DataFrame:
    """The ids of what a model answered of rows with times from `begin` to before `end` (days, UTC), in the column
    "id"."""
    with index.open() as db:
        rows = db.execute(IDS, (model, seconds(begin), seconds(end))).fetchall()
    return pl.DataFrame(rows, schema={"id": pl.String}, orient="row")


def records(predictions: Path, ids: Sequence[str], columns: Mapping[str, Any]) -> pl.DataFrame:
    """The logged records' values in these columns (name -> dtype; an Enum as text), beside their "id"; null where a
    record has none or one of another type. Ids that are in the log no more have no row."""
    wanted = {name: pl.String() if isinstance(dtype, pl.Enum) else dtype for name, dtype in columns.items()}
    rows = [{"id": entry["id"], **entry["record"]} for entry in _entries(predictions, ids)]
    values = {
        name: pl.Series(name, [row.get(name) for row in rows], dtype, strict=False) for name, dtype in wanted.items()
    }
    return pl.DataFrame({"id": pl.Series([row["id"] for row in rows], dtype=pl.String), **values})


def _entries(predictions: Path, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """From segments, each by its position; or from Parquet, all of a file's at once."""
    elsewhere: dict[str, list[str]] = defaultdict(list)
    for each in ids:
        if (entry := log.find(predictions, each)) is not None:
            yield entry
        else:
            elsewhere[each.partition("-")[0]].append(each)
    for path, part in archive.parts(predictions):
        if here := [each for segment in part.segments for each in elsewhere.get(segment, [])]:
            lines = archive.scan(path, part).filter(pl.col("id").is_in(here)).select("line").collect()["line"]
            yield from (msgspec.json.decode(line) for line in lines)


def seconds(day: dt.date) -> float:
    """When a day (UTC) begins, counted from 1970."""
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()
