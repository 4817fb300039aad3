"""Where raw batches come from: the problem's table, cut by thirty days, the same bytes every time."""

import datetime as dt
import functools
import io
from dataclasses import dataclass

import polars as pl

from .schema import TIME_TEXT
from .table import BATCH_DAYS, START, load_table


@dataclass(frozen=True)
class Batch:
    """Named after its first day, and complete the day after its last."""

    name: str
    complete: dt.date


def batches() -> list[Batch]:
    """All batches that the table fills."""
    last = dt.date.fromisoformat(_load()[TIME_TEXT].max()[:10])
    firsts = [START + dt.timedelta(days=n) for n in range(0, (last - START).days + 1, BATCH_DAYS)]
    return [Batch(first.isoformat(), first + dt.timedelta(days=BATCH_DAYS)) for first in firsts]


def fetch(batch: str) -> dict[str, bytes]:
    """The batch's rows as CSV."""
    first = dt.date.fromisoformat(batch)
    end = first + dt.timedelta(days=BATCH_DAYS)
    moment = pl.col(TIME_TEXT)
    return {"table.csv": _load().filter(moment >= first.isoformat(), moment < end.isoformat()).write_csv().encode()}


def parse(files: dict[str, bytes]) -> pl.DataFrame:
    """Rows of text."""
    return pl.read_csv(io.BytesIO(files["table.csv"]), infer_schema=False, null_values=[""])


@functools.cache
def _load() -> pl.DataFrame:
    return load_table().sort(TIME_TEXT, maintain_order=True)
