"""Where raw batches come from: made-up parcels, a batch a month, until you put your own rows in their place.

For files or a database the whole module is two lines (docs/building-blocks.md):

    from penumbra.sources import TableFiles
    SOURCE = TableFiles("parcels/*.csv", time="sent_at", period="month")
"""

import datetime as dt
import random
from dataclasses import dataclass

import polars as pl

YEAR, PARCELS_A_DAY = 2025, 60
COLUMNS = ["parcel", "sent_at", "carrier", "weight_kg", "distance_km", "express", "arrival"]
KM_AN_HOUR = {"blue": 45, "green": 35, "red": 25}


@dataclass(frozen=True)
class Batch:
    """A name that sorts by time, and the first day on which the batch is complete."""

    name: str
    complete: dt.date


def batches() -> list[Batch]:
    """The months of the year; the flows take those that are complete by the settings' today."""
    return [Batch(f"{YEAR}-{month:02}", dt.date(YEAR + month // 12, month % 12 + 1, 1)) for month in range(1, 13)]


def fetch(batch: str) -> dict[str, bytes]:
    """A month's parcels as CSV, the same bytes every time."""
    days = [dt.date(YEAR, 1, 1) + dt.timedelta(days=n) for n in range(365)]
    parcels = [make_parcel(day, n) for day in days if f"{day:%Y-%m}" == batch for n in range(PARCELS_A_DAY)]
    lines = [",".join(COLUMNS), *(",".join(str(value) for value in parcel) for parcel in parcels)]
    return {"parcels.csv": "\n".join([*lines, ""]).encode()}


def parse(files: dict[str, bytes]) -> pl.DataFrame:
    """Rows of text; the contract makes numbers and times of it."""
    return pl.read_csv(files["parcels.csv"], infer_schema=False, null_values=[""])


def make_parcel(day: dt.date, n: int) -> list[object]:
    """The n-th parcel of a day: distance, weight, carrier and weekends count, and some days are slow for all."""
    draw, slow = random.Random(day.toordinal() * 1000 + n), random.Random(day.toordinal()).uniform(0.85, 1.15)
    carrier, express, distance = draw.choice(list(KM_AN_HOUR)), draw.random() < 0.3, draw.randint(5, 900)
    weight, weekend = round(draw.uniform(0.1, 30), 1), day.weekday() >= 4
    hours = (6 + distance / KM_AN_HOUR[carrier] + weight / 3 + 12 * weekend) * slow * draw.uniform(0.8, 1.2)
    hours *= 0.6 if express else 1
    sent_at = f"{day}T{8 + n // 6:02}:{n % 6 * 10:02}:00Z"
    known = [day.toordinal() * 1000 + n, sent_at, carrier, "" if n == 20 else weight, distance, str(express).lower()]
    return [*known, "early" if hours < 18 else "on time" if hours < 36 else "late"]
