"""`problem/source.py` of `bench growth`: some months of the example, in which each row is there several times.

MONTHS says how many, COPIES how often; copies differ in the flight's number, which no feature reads. A batch is one
file, flights beside their weather, and is written and read piece by piece.
"""

import os
from collections.abc import Iterator

import polars as pl

from examples.flights import source as flights

FILE = "flights.csv"
CONVERSIONS = flights.CONVERSIONS


def batches() -> list[flights.Batch]:
    """The first months of the example."""
    return flights.batches()[: int(os.environ["MONTHS"])]


def fetch(batch: str) -> dict[str, Iterator[bytes]]:
    """The rows of a month so often, as CSV."""
    return {FILE: _repeat_rows(flights.parse(flights.fetch(batch)), int(os.environ["COPIES"]))}


def parse(files: object) -> pl.LazyFrame:
    """The rows as text."""
    return pl.scan_csv(files.paths[FILE], glob=False, infer_schema=False, null_values=["", "NA"])  # type: ignore[attr-defined]


def _repeat_rows(rows: pl.DataFrame, copies: int) -> Iterator[bytes]:
    numbered = rows.with_columns(flight=pl.int_range(1, pl.len() + 1).over("carrier", "time_hour"))
    most = numbered.select(pl.col("flight").max()).item()
    for copy in range(copies):
        yield numbered.with_columns(pl.col("flight") + copy * most).write_csv(include_header=not copy).encode()
