"""Some rows of the prediction log by their ids, with what was asked: for reports, which can't be made of all rows."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from stores import archive, drawn, log
from stores.answered import DAY, PREDICTION, Answered
from stores.index import Index
from stores.tables import ROW


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
    return _typed(
        [{**msgspec.json.decode(line)["record"], "id": name} for name, line in _lines(predictions, ids)], columns
    )


def counted(predictions: Path, ids: Sequence[str], answered: Answered) -> tuple[pl.Series, pl.DataFrame]:
    """The ids of those rows that are in the log and can be read, and of each what profiles count (see `Answered`)."""
    found = list(_columns(predictions, ids, answered))
    there = {name for names, _ in found for name in names}
    lines = dict(_lines(predictions, (name for name in ids if name not in there)))
    if lines or not found:
        found.append((pl.Series("id", list(lines), pl.String), answered.aligned(list(lines.values()))))
    wanted = [*answered.columns, PREDICTION, DAY]
    rows = pl.concat([each.select(wanted) for _, each in found])
    known = rows[DAY].is_not_null()
    return pl.concat([names for names, _ in found]).filter(known), rows.filter(known)


def _columns(predictions: Path, ids: Sequence[str], answered: Answered) -> Iterator[tuple[pl.Series, pl.DataFrame]]:
    """Ids and rows out of Parquet files here that keep the columns of `answered` beside the lines."""
    segments = {each.partition("-")[0] for each in ids}
    for path, part in archive.parts(predictions):
        table = path.with_suffix(archive.TABLE)
        if segments.isdisjoint(part.segments) or not table.exists():
            continue
        with suppress(pl.exceptions.PolarsError, OSError):
            names = [name for name in pl.read_parquet_schema(table) if name.startswith(ROW)]
            rows = pl.scan_parquet(table).filter(pl.col("id").is_in(ids)).select("id", *names).collect()
            columns = rows.drop("id").rename(lambda name: name.removeprefix(ROW))
            if answered.counts(columns):
                yield rows["id"], columns


def _typed(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any]) -> pl.DataFrame:
    wanted = {name: pl.String() if isinstance(dtype, pl.Enum) else dtype for name, dtype in columns.items()}
    values = {
        name: pl.Series(name, [row.get(name) for row in rows], dtype, strict=False) for name, dtype in wanted.items()
    }
    return pl.DataFrame({"id": pl.Series([row["id"] for row in rows], dtype=pl.String), **values})


def _lines(predictions: Path, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Ids with their lines: from segments, each by its position; or from Parquet, all of a file's at once."""
    elsewhere: dict[str, list[str]] = defaultdict(list)
    for segment, named in groupby(ids, lambda each: each.partition("-")[0]):
        names = list(named)
        found = _in_segment(predictions / (segment + log.SUFFIX), names)
        yield from found.items()
        elsewhere[segment] += [name for name in names if name not in found]
    for path, part in archive.parts(predictions):
        if here := [each for segment in part.segments for each in elsewhere.get(segment, [])]:
            lines = archive.scan(path, part).filter(pl.col("id").is_in(here)).select("id", "line").collect()
            yield from ((name, line.encode()) for name, line in lines.iter_rows())


def _in_segment(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    found = {}
    with suppress(FileNotFoundError), path.open("rb") as file:
        for match in filter(None, map(log.ID.fullmatch, names)):
            file.seek(int(match[2], 16))
            if (line := file.readline()).startswith(b'{"id":"%b"' % match[0].encode()):
                found[match[0]] = line.rstrip(b"\n")
    return found


def seconds(day: dt.date) -> float:
    """When a day (UTC) begins, counted from 1970."""
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()
