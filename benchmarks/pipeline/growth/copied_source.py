"""`problem/source.py` of `bench growth`: some months of the example, in which each row is there several times.

COPIED_ROWS is the folder that `write_copies` has written. A batch is one file, flights beside their weather, and is
read piece by piece.
"""

import os
from pathlib import Path
from typing import BinaryIO

import polars as pl

from examples.flights import source as flights

FILE = "flights.csv"
CONVERSIONS = flights.CONVERSIONS


def batches() -> list[flights.Batch]:
    """The months of the example that were written."""
    written = {path.parent.name for path in Path(os.environ["COPIED_ROWS"]).glob(f"*/{FILE}")}
    return [batch for batch in flights.batches() if batch.name in written]


def fetch(batch: str) -> dict[str, BinaryIO]:
    """The rows of a month so often, as CSV."""
    return {FILE: (Path(os.environ["COPIED_ROWS"]) / batch / FILE).open("rb")}


def parse(files: object) -> pl.LazyFrame:
    """The rows as text."""
    return pl.scan_csv(files.paths[FILE], glob=False, infer_schema=False, null_values=["", "NA"])  # type: ignore[attr-defined]


def write_copies(folder: Path, months: int, copies: int) -> None:
    """Write the raw files of the first months of the example.

    Args:
        folder: An empty folder, which gets a folder for each month.
        months: How many months.
        copies: How often each row is in them; copies differ in the flight's number, which no feature reads.
    """
    for batch in flights.batches()[:months]:
        rows = flights.parse(flights.fetch(batch.name))
        numbered = rows.with_columns(flight=pl.int_range(1, pl.len() + 1).over("carrier", "time_hour"))
        most = numbered.select(pl.col("flight").max()).item()
        (folder / batch.name).mkdir()
        with (folder / batch.name / FILE).open("wb") as file:
            for copy in range(copies):
                numbered.with_columns(pl.col("flight") + copy * most).write_csv(file, include_header=not copy)
