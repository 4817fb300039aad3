"""`penumbra bench monitor`: measure what counting answers and judging a window cost, beside Evidently on all rows.

Each measurement is a process of its own. The log is the year's flights as the service writes and archives them, again
and again: links to the same files under other names. ROWS=100 for another largest number of million rows than 20.
"""

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import problem.features
import problem.schema
from benchmarks.pipeline.monitor.index_cost import index_log
from benchmarks.pipeline.monitor.report_process import read_cpu_seconds
from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
from monitoring.drift.window_drift import ModelProfiles, compute_window_drift
from monitoring.permutation import count_memory_days
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning, list_profiled_columns, select_profile_columns
from penumbra.logs.archiving import archive, archive_parts
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.daily.profiles import ProfileStore
from problem.schema import TIME

MILLION, EVIDENTLY_ROWS = 1_000_000, 200_000
LOG_MILLIONS = (1, 5, float(os.environ.get("ROWS", 20)))
WINDOW_DAYS, ALARM_ONE_IN, VERDICT_ROUNDS = 7, 300, 20


def main() -> None:
    from benchmarks.pipeline.monitor import line_logs, pass_cost, report_cost  # here: imports are measured, too

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        line_logs.write_year(folder)
        print(f"{'':<54}{'rows':>12}{'CPU s':>9}{'a million':>11}{'peak MB':>9}")
        result = _measure_logs(folder)
        theirs = _print_measurement("Evidently's drift preset on all rows", "evidently", folder)
        result["over_evidently"] = round(theirs["a_million"] / result["cpu_s_per_million"], 1)
        verdict = _run_process("verdict", folder)
        result["verdict_ms"] = verdict["ms"]
        print(
            f"a window of {WINDOW_DAYS} days judged from profiles: {verdict['ms']} ms, "
            f"in the median {verdict['median']} ms"
        )
        result |= report_cost.measure_reports(folder) | pass_cost.measure_pass(folder)
    print(json.dumps(result))


def _measure_logs(folder: Path) -> dict[str, float]:
    """Print and return what it costs to count, archive and index the log, a million answers each."""
    from benchmarks.pipeline.monitor import line_logs
    from benchmarks.pipeline.monitor.index_cost import write_labels

    logged = line_logs.link_line_log(folder / "lines", folder / "once", MILLION)
    lines = _print_measurement("the log as lines, counted", "log", logged)
    archived = _print_measurement("the same, made Parquet by the archiver", "archive", logged)
    counted = [
        _print_measurement("the log as Parquet, counted", "log", line_logs.link_parquet_log(folder, size))
        for size in LOG_MILLIONS
    ]
    (indexed := folder / "indexed").mkdir()
    (indexed / "predictions").symlink_to(folder / "once")
    write_labels(indexed)
    joined = _print_measurement("predictions with a label each, indexed", "index", indexed)
    return {
        "cpu_s_per_million": counted[-1]["a_million"],
        "peak_mb": max(each["mb"] for each in counted),
        "cpu_s_per_million_lines": lines["a_million"],
        "cpu_s_per_million_archiving": archived["a_million"],
        "cpu_s_per_million_indexed": joined["a_million"],
    }


def _print_measurement(name: str, what: str, folder: Path) -> dict[str, float]:
    found = _run_process(what, folder)
    found["a_million"] = round(found["cpu"] / found["rows"] * MILLION, 2)
    print(
        f"{name:<54}{found['rows']:>12,}{found['cpu']:>9.1f}{found['a_million']:>11.2f}{found['mb']:>9.0f}", flush=True
    )
    return found


def _run_process(what: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.pipeline.monitor", what, str(folder)]
    environ = {**os.environ, **SINGLE_THREAD_ENVIRONMENT}  # as the steps of the flow have it
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environ)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def count_log_rows(folder: Path) -> dict[str, float]:
    """Count the answers of the log in `folder` into profiles; returns how many rows there were."""
    made = _open_profiles(folder)
    return {"rows": made.update(lambda model: pl.read_parquet(folder / "reference.parquet"))}


def compact_log(folder: Path) -> dict[str, float]:
    """What the archiver does in the background: lines to Parquet, with the rows as columns beside them."""
    predictions = folder / "predictions"
    rows = LogFrameReader(problem.schema).read_archived
    archive.compact_segments(predictions, archive.seal_closed_segments(predictions), dt.date.max, rows)
    return {
        "rows": sum(each.rows for _, part in archive_parts.list_parts(predictions) for each in part.segments.values())
    }


def time_evidently(folder: Path) -> dict[str, float]:
    """Run Evidently's drift report on all rows of the log in `folder`; returns how many there were."""
    rows = read_profiled_rows(folder / "rows.parquet")
    return run_drift_preset(rows[:EVIDENTLY_ROWS], rows[-EVIDENTLY_ROWS // 4 :])


def read_profiled_rows(path: Path) -> pl.DataFrame:
    """Read the columns that are counted, the prediction last, of rows at `path`."""
    return pl.read_parquet(path, columns=[*list_profiled_columns(problem.features.FEATURES, TIME), PREDICTION_COLUMN])


def run_drift_preset(reference: pl.DataFrame, current: pl.DataFrame) -> dict[str, float]:
    """Run Evidently's drift report on such rows; returns how many there were."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    half = [reference, current]
    binning = Binning.learn(pl.concat(half), reference.columns[:-1])
    definition = DataDefinition(numerical_columns=list(binning.edges), categorical_columns=list(binning.words))
    frames = [each.to_pandas().astype(dict.fromkeys(binning.words, str)) for each in half]
    before, now = (Dataset.from_pandas(each, definition) for each in frames)
    Report([DataDriftPreset()]).run(now, before).dict()
    return {"rows": sum(map(len, frames))}


def time_verdict(folder: Path) -> dict[str, float]:
    """Milliseconds of a verdict: the profiles of days and reference from the store, and the judgement."""
    made, model, begin = _open_profiles(folder / "1"), "1", dt.date(2013, 5, 6)
    taken = []
    for week in range(VERDICT_ROUNDS):
        first, started = begin + dt.timedelta(days=WINDOW_DAYS * week), time.perf_counter()
        end = first + dt.timedelta(days=count_memory_days(WINDOW_DAYS))
        days, binning = made.window(dt.date.min, end, model), made.binning(model)
        scored = select_profile_columns(days, binning, [PREDICTION_COLUMN])
        known = ModelProfiles(binning, made.reference(model), days, scored)
        compute_window_drift(known, end - dt.timedelta(days=WINDOW_DAYS), WINDOW_DAYS, ALARM_ONE_IN)
        taken.append(1e3 * (time.perf_counter() - started))
    return {"ms": round(min(taken), 1), "median": round(float(np.median(taken)), 1)}


def _open_profiles(folder: Path) -> ProfileStore:
    return ProfileStore(folder / "monitor", folder / "predictions", problem.schema)


def _read_peak_mb() -> int:
    """Of this process alone; the kernel's other figure counts in what its parent used."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


MEASUREMENTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "log": count_log_rows,
    "archive": compact_log,
    "index": index_log,
    "evidently": time_evidently,
    "verdict": time_verdict,
}


def run_measurement(what: str, folder: Path) -> None:
    """Run the measurement named `what` on the log in `folder`, and print its figures as JSON."""
    if what == "evidently":
        import evidently.presets  # noqa: F401  its seconds aren't counted
    began = read_cpu_seconds()
    found = MEASUREMENTS[what](folder)
    print(json.dumps({**found, "cpu": read_cpu_seconds() - began, "mb": _read_peak_mb()}))


if __name__ == "__main__":
    run_measurement(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 1 else main()
