"""CPU time of the reports on a window, for logs of several sizes: the whole pass, from the start of its process."""

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
from flows.steps.monitor import due_windows
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.schema import LabelEntry, PredictionEntry
from penumbra.logs.schema import ShadowRow as Said
from penumbra.registry.models import ModelRegistry
from problem.schema import TIME, Row
from tests.helpers.models import monitored_model, registered_versions

PROBLEM = load_problem()

LOG_ROWS = (100_000, 1_000_000)
REPORT_WINDOW_BEGIN, ONE_WEEK, JUDGING_DELAY = dt.date(2013, 4, 4), dt.timedelta(days=7), dt.timedelta(days=2)
HOUR = dt.timedelta(hours=1)
REPORT_COUNT, ROWS_PER_APPEND, DECISION_THRESHOLD = 4, 5_000, 0.3
LABEL_KEY = Row.primary_key()


def measure_reports(folder: Path) -> dict[str, float]:
    """`folder` has the year's rows, and those of a reference, as `__main__.py` writes them."""
    print(f"{'the four reports on a window':<54}{'rows':>12}{'CPU s':>9}{'imports':>11}")
    found = [_publish_in_process(folder, rows) for rows in LOG_ROWS]
    return {"report_cpu_s": round(found[-1]["cpu"], 1), "report_cpu_s_imports": round(found[-1]["imports"], 1)}


def _publish_in_process(folder: Path, rows: int) -> dict[str, float]:
    overrides = build_windows(folder, rows)
    due_windows.judge_due_windows(load_settings(environ=overrides), PROBLEM)
    environ = {**os.environ, **overrides}
    command = [sys.executable, "-m", "benchmarks.pipeline.monitor.report_process"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environ)
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    assert found["pages"] == REPORT_COUNT, f"{found['pages']} reports in place of {REPORT_COUNT}"
    print(f"{'':<54}{rows:>12,}{found['cpu']:>9.1f}{found['imports']:>11.1f}", flush=True)
    return found


def build_windows(folder: Path, rows: int, weeks: int = 1) -> dict[str, str]:
    """Make weeks with so many answers of a live model, what a candidate said of each, and all labels.

    Args:
        folder: As for `measure_reports`.
        rows: How many answers there are.
        weeks: How many weeks, each a window that isn't judged yet.

    Returns:
        The settings' overrides for a monitor pass over them.
    """
    place, end = folder / f"weeks-{weeks}-{rows}", REPORT_WINDOW_BEGIN + weeks * ONE_WEEK
    place.mkdir()
    settings = monitored_model.make_monitor_settings(place, end + JUDGING_DELAY)
    _register_versions(place, ModelRegistry(settings.registry), pl.read_parquet(folder / "reference.parquet"))
    _write_logs(place, _take_rows(pl.read_parquet(folder / "rows.parquet"), rows, end))
    return monitored_model.make_monitor_environment(place, end + JUDGING_DELAY)


def _register_versions(place: Path, models: ModelRegistry, reference: pl.DataFrame) -> None:
    registered_versions.register_versions(place, "ab")
    models.set_alias("live", "1")
    models.set_alias("candidate", "2")
    monitored_model.make_reference_bundle(
        place, reference.with_columns(label=problem.schema.target()), DECISION_THRESHOLD
    )


def _take_rows(year: pl.DataFrame, number: int, end: dt.date) -> pl.DataFrame:
    """The flights before `end` so often that they are so many, with flight numbers that make each another one."""
    taken = year.filter(pl.col(TIME).dt.date().is_between(REPORT_WINDOW_BEGIN, end, closed="left"))
    every = pl.concat([taken] * -(-number // taken.height)).head(number)
    return every.with_columns(flight=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("carrier", TIME))


def _write_logs(place: Path, rows: pl.DataFrame) -> None:
    """Predictions, what the candidate said beside them (its rows alone: the index reads nothing else), and labels."""
    writers = [LogWriter(place / name) for name in ("predictions", "shadow", "labels")]
    rng = np.random.default_rng(7)
    for first in range(0, rows.height, ROWS_PER_APPEND):
        part = rows[first : first + ROWS_PER_APPEND]
        ids = writers[0].append([encode_json(entry) for entry in _make_entries(part)])
        said = np.clip(part[PREDICTION_COLUMN].to_numpy() + rng.normal(0, 0.05, part.height), 0.01, 0.99).tolist()
        times = part[TIME].to_list()
        writers[1].append([encode_json(_make_shadow_row(*each)) for each in zip(ids, times, said, strict=True)])
        writers[2].append([encode_json(label) for label in _make_labels(part)])
    for writer in writers:
        writer.close()


def _make_entries(rows: pl.DataFrame) -> Iterator[PredictionEntry]:
    records = rows.select(list(Row.columns())).iter_rows(named=True)
    for record, score in zip(records, rows[PREDICTION_COLUMN].to_list(), strict=True):
        yield PredictionEntry(
            record[TIME] - HOUR, "0123456789ab", record, [], score, score >= DECISION_THRESHOLD, "1", 80
        )


def _make_shadow_row(name: str, time: dt.datetime, score: float) -> Said:
    return Said(name, "2", time, score, score >= DECISION_THRESHOLD)


def _make_labels(rows: pl.DataFrame) -> Iterator[LabelEntry]:
    for row in rows.select(*LABEL_KEY, "arr_delay").iter_rows(named=True):
        yield LabelEntry(
            row[TIME] + 5 * HOUR, "batch 2013-04", {"arr_delay": row["arr_delay"]}, [row[name] for name in LABEL_KEY]
        )
