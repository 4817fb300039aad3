"""Where raw batches come from: a month of hourly weather each."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from tests.problems import weather

CONVERSIONS = weather.CONVERSIONS
fetch = weather.fetch


@dataclass(frozen=True)
class Batch:
    name: str
    complete: dt.date


def batches() -> list[Batch]:
    return [Batch(f"2013-{month:02}", dt.date(2013 + month // 12, month % 12 + 1, 1)) for month in range(1, 13)]


def parse(files: dict[str, bytes]) -> pl.DataFrame:
    return weather.parse(files, "temp")
