"""Some rows of the prediction log by their ids, with what was asked: for reports, which can't be made of all rows."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from stores import archive, drawn, log
from stores.index import Index


def sampled(
    index: Index, model: str, begin: dt.date, end: dt.date, columns: Mapping[str, Any], most: int = drawn.MOST
) -> pl.DataFrame:
    """As `records`, of what a model answered of rows with times from `begin` to before `end` (days, UTC): of all rows,
    or of `most`, drawn by their ids (see stores/drawn.py). Reads nothing of the others."""
    with index.open() as db:
        found = drawn.window(db, model, begin, end, most)
    return _typed([{**msgspec.json.decode(record), "id": name} for name, record in found], columns)


def records(predictions: Path, ids: Sequence[str], columns: Mapping[str, Any]) -> pl.DataFrame:
    """The logged records' values in these columns (name -> dtype; an Enum as text), beside their "id"; null where a
    record has none or one of another type. Ids that are in the log no more have no row."""
    return _typed([{**entry["record"], "id": entry["id"]} for entry in _entries(predictions, ids)], columns)


def _typed(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any]) -> pl.DataFrame:
    wanted = {name: pl.String() if isinstance(dtype, pl.Enum) else dtype for name, dtype in columns.items()}
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
