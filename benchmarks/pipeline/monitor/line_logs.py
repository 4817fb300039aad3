"""Prediction logs of any size: the year's flights as the service writes and archives them, linked again and again."""

import datetime as dt
import itertools
import os
from pathlib import Path
from typing import Any

import polars as pl

import problem.schema
from benchmarks.helpers import flight_stream
from penumbra.core.columns import BATCH_COLUMN, INPUTS_COLUMN, PREDICTION_COLUMN
from penumbra.logs import append_log
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.archiving import archive_parts
from penumbra.logs.schema import PredictionEntry

MILLION = 1_000_000
REFERENCE_BATCHES = ("2013-02", "2013-03")


def write_year(folder: Path) -> int:
    """The year as a log in `once`, its rows as Parquet, and a reference; returns the number of rows."""
    rows = (
        flight_stream.read_checked_rows(flight_stream.LAST_MONTH)
        .drop(INPUTS_COLUMN)
        .with_columns((0.2 + pl.col("sched_dep_time") / 10_000).alias(PREDICTION_COLUMN))
    )
    rows.write_parquet(folder / "rows.parquet")
    rows.filter(pl.col(BATCH_COLUMN).is_in(REFERENCE_BATCHES)).write_parquet(folder / "reference.parquet")
    writer, names = LogWriter(folder / "once"), list(problem.schema.Row.columns())
    said = rows[PREDICTION_COLUMN].to_list()
    for first in range(0, rows.height, 1000):
        records = rows[first : first + 1000].select(names).iter_rows(named=True)
        writer.append([encode_json(_make_entry(record, said[first + i])) for i, record in enumerate(records)])
    writer.close()
    return rows.height


def _make_entry(record: dict[str, Any], score: float) -> PredictionEntry:
    inputs = [float(value) if isinstance(value, int | float) else 3.0 for value in record.values()]
    return PredictionEntry(dt.datetime.now(dt.UTC), "0123456789ab", record, inputs, score, score > 0.3, "1", 80)


def link_line_log(there: Path, once: Path, rows: int) -> Path:
    """Make a log of at least so many lines that nobody has archived: links to the segments of another, again and again.

    Args:
        there: The folder to make, with the log in `predictions`.
        once: The other log; beside it lies the reference.
        rows: The number of lines.

    Returns:
        The folder.
    """
    (there / "predictions").mkdir(parents=True)
    segments = [(path, path.read_bytes().count(b"\n")) for path in append_log.list_segments(once)]
    made = 0
    for number, (path, lines) in enumerate(itertools.cycle(segments)):
        if made >= rows:
            break
        os.link(path, there / "predictions" / f"{make_segment_name(number)}{append_log.SEGMENT_SUFFIX}")
        made += lines
    (there / "reference.parquet").symlink_to(once.with_name("reference.parquet"))
    return there


def link_parquet_log(folder: Path, millions: float) -> Path:
    """Make a log of at least so many rows in Parquet only: links to the archived parts of `lines` in `folder`."""
    there, days = folder / f"{millions:g}", folder / "lines" / "predictions" / archive_parts.DAYS_FOLDER
    (there / "predictions" / archive_parts.DAYS_FOLDER).mkdir(parents=True)
    made, number = 0, 0
    while made < millions * MILLION:
        for path, part in archive_parts.list_parts(days.parent):
            name = there / "predictions" / archive_parts.DAYS_FOLDER / f"2014-01-01.{number:06}"
            held = {make_segment_name(1000 * number + i): each for i, each in enumerate(part.segments.values())}
            name.with_suffix(f".{number:06}{archive_parts.FACTS_SUFFIX}").write_bytes(
                encode_json(archive_parts.ArchivePart(held, part.sha256))
            )
            os.link(
                path.with_suffix(archive_parts.TABLE_SUFFIX),
                name.with_suffix(f".{number:06}{archive_parts.TABLE_SUFFIX}"),
            )
            made, number = made + sum(each.rows for each in held.values()), number + 1
    (there / "reference.parquet").symlink_to(folder / "reference.parquet")
    return there


def make_segment_name(number: int) -> str:
    return f"{0x19000000000:011x}{number:06x}"
