"""What the reports on a window cost, of logs of several sizes: the whole pass, from the start of its process."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

import problem.schema
from flows.watch import watching
from problem.schema import TIME, Row
from stores.labels import Label
from stores.log import Writer, encode
from stores.models import Models
from stores.predictions import Entry
from stores.shadow import Row as Said
from tests import monitored, promoted

SIZES = (100_000, 1_000_000)
BEGIN, WEEK, LATER = dt.date(2013, 4, 4), dt.timedelta(days=7), dt.timedelta(days=2)
HOUR = dt.timedelta(hours=1)
REPORTS, AT_ONCE, THRESHOLD = 4, 5_000, 0.3
KEY = Row.primary_key()


def measure(folder: Path) -> dict[str, float]:
    """`folder` has the year's rows, and those of a reference, as benchmarks/monitor.py writes them."""
    print(f"{'the four reports on a window':<54}{'rows':>12}{'CPU s':>9}{'imports':>11}")
    found = [_published(folder, rows) for rows in SIZES]
    return {"report_cpu_s": round(found[-1]["cpu"], 1), "report_cpu_s_imports": round(found[-1]["imports"], 1)}


def _published(folder: Path, rows: int) -> dict[str, float]:
    environ = {**os.environ, **build(folder, rows)}
    command = [sys.executable, "-m", "benchmarks.publish"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environ)
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    assert found["pages"] == REPORTS, f"{found['pages']} reports in place of {REPORTS}"
    print(f"{'':<54}{rows:>12,}{found['cpu']:>9.1f}{found['imports']:>11.1f}", flush=True)
    return found


def build(folder: Path, rows: int) -> dict[str, str]:
    """A week with so many answers of a live model, what a candidate said of each, all labels, and its record. Returns
    the settings' overrides for it."""
    place = folder / f"reports-{rows}"
    place.mkdir()
    chosen = monitored.settings(place, BEGIN + WEEK + LATER)
    _registered(place, Models(chosen.registry), pl.read_parquet(folder / "reference.parquet"))
    _log(place, _week(pl.read_parquet(folder / "rows.parquet"), rows))
    watching.watch(chosen)
    return monitored.environment(place, BEGIN + WEEK + LATER)


def _registered(place: Path, models: Models, reference: pl.DataFrame) -> None:
    promoted.registered(place, "ab")
    models.point("live", "1")
    models.point("candidate", "2")
    monitored.deployed(place, reference.with_columns(label=problem.schema.target()), THRESHOLD)


def _week(year: pl.DataFrame, number: int) -> pl.DataFrame:
    """The week's flights so often that they are so many, with flight numbers that make each another one."""
    week = year.filter(pl.col(TIME).dt.date().is_between(BEGIN, BEGIN + WEEK, closed="left"))
    every = pl.concat([week] * -(-number // week.height)).head(number)
    return every.with_columns(flight=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("carrier", TIME))


def _log(place: Path, rows: pl.DataFrame) -> None:
    """Predictions, what the candidate said beside them (its rows alone: the index reads nothing else), and labels."""
    writers = [Writer(place / name) for name in ("predictions", "shadow", "labels")]
    rng = np.random.default_rng(7)
    for first in range(0, rows.height, AT_ONCE):
        part = rows[first : first + AT_ONCE]
        ids = writers[0].append([encode(entry) for entry in _entries(part)])
        said = np.clip(part["prediction"].to_numpy() + rng.normal(0, 0.05, part.height), 0.01, 0.99).tolist()
        times = part[TIME].to_list()
        writers[1].append([encode(_said(*each)) for each in zip(ids, times, said, strict=True)])
        writers[2].append([encode(label) for label in _labels(part)])
    for writer in writers:
        writer.close()


def _entries(rows: pl.DataFrame) -> Iterator[Entry]:
    records = rows.select(list(Row.columns())).iter_rows(named=True)
    for record, score in zip(records, rows["prediction"].to_list(), strict=True):
        yield Entry(record[TIME] - HOUR, "0123456789ab", record, [], score, score >= THRESHOLD, "1", 80)


def _said(name: str, time: dt.datetime, score: float) -> Said:
    return Said(name, "2", time, score, score >= THRESHOLD)


def _labels(rows: pl.DataFrame) -> Iterator[Label]:
    for row in rows.select(*KEY, "arr_delay").iter_rows(named=True):
        yield Label(row[TIME] + 5 * HOUR, "batch 2013-04", {"arr_delay": row["arr_delay"]}, [row[name] for name in KEY])
