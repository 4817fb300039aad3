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
from benchmarks import flight_stream
from benchmarks.monitor.report_process import read_cpu_seconds
from monitoring.drift.window_drift import ModelProfiles, compute_window_drift
from monitoring.permutation import count_memory_days
from penumbra.core.columns import BATCH_COLUMN, INPUTS_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, list_profiled_columns, select_profile_columns
from penumbra.logs import append_log
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.archiving import archive, archive_parts
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.schema import PredictionEntry
from problem.schema import TIME

MILLION, EVIDENTLY_ROWS = 1_000_000, 200_000
LOG_MILLIONS = (1, 5, float(os.environ.get("ROWS", 20)))
WINDOW_DAYS, ALARM_ONE_IN, VERDICT_ROUNDS = 7, 300, 20
REFERENCE_BATCHES = ("2013-02", "2013-03")


def main() -> None:
    from benchmarks.monitor import report_cost  # here: its imports would be memory of what is measured

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        per_year = write_year(folder)
        print(f"{'':<54}{'rows':>12}{'CPU s':>9}{'a million':>11}{'peak MB':>9}")
        lines = _print_measurement("the log as lines, counted", "log", _make_line_log(folder, per_year))
        archived = _print_measurement("the same, made Parquet by the archiver", "archive", folder / "lines")
        counted = [
            _print_measurement("the log as Parquet, counted", "log", _make_parquet_log(folder, size, per_year))
            for size in LOG_MILLIONS
        ]
        theirs = _print_measurement("Evidently's drift preset on all rows", "evidently", folder)
        verdict = _run_process("verdict", folder)
        print(
            f"a window of {WINDOW_DAYS} days judged from profiles: {verdict['ms']} ms, "
            f"in the median {verdict['median']} ms"
        )
        reported = report_cost.measure_reports(folder)
    result = {
        "cpu_s_per_million": counted[-1]["a_million"],
        "peak_mb": max(each["mb"] for each in counted),
        "verdict_ms": verdict["ms"],
        "over_evidently": round(theirs["a_million"] / counted[-1]["a_million"], 1),
        "cpu_s_per_million_lines": lines["a_million"],
        "cpu_s_per_million_archiving": archived["a_million"],
        **reported,
    }
    print(json.dumps(result))


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


def _make_line_log(folder: Path, per_year: int) -> Path:
    """A log of a million rows or more that nobody has archived."""
    there, once = folder / "lines", append_log.list_segments(folder / "once")
    (there / "predictions").mkdir(parents=True)
    for number in range(-(-MILLION // per_year) * len(once)):
        os.link(
            once[number % len(once)], there / "predictions" / f"{_make_segment_name(number)}{append_log.SEGMENT_SUFFIX}"
        )
    (there / "reference.parquet").symlink_to(folder / "reference.parquet")
    return there


def _make_parquet_log(folder: Path, millions: float, per_year: int) -> Path:
    """A log of at least so many rows that is in Parquet only: links to the archived parts of `lines`."""
    there, days = folder / f"{millions:g}", folder / "lines" / "predictions" / archive_parts.DAYS_FOLDER
    (there / "predictions" / archive_parts.DAYS_FOLDER).mkdir(parents=True)
    made, number = 0, 0
    while made < millions * MILLION:
        for path, part in archive_parts.list_parts(days.parent):
            name = there / "predictions" / archive_parts.DAYS_FOLDER / f"2014-01-01.{number:06}"
            held = {_make_segment_name(1000 * number + i): each for i, each in enumerate(part.segments.values())}
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


def _make_segment_name(number: int) -> str:
    return f"{0x19000000000:011x}{number:06x}"


def _print_measurement(name: str, what: str, folder: Path) -> dict[str, float]:
    found = _run_process(what, folder)
    found["a_million"] = round(found["cpu"] / found["rows"] * MILLION, 2)
    print(
        f"{name:<54}{found['rows']:>12,}{found['cpu']:>9.1f}{found['a_million']:>11.2f}{found['mb']:>9.0f}", flush=True
    )
    return found


def _run_process(what: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.monitor", what, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def count_log_rows(folder: Path) -> dict[str, float]:
    """Count the answers of the log in `folder` into profiles; returns how many rows there were."""
    made = _open_profiles(folder)
    return {"rows": made.update(lambda model: pl.read_parquet(folder / "reference.parquet"))}


def compact_log(folder: Path) -> dict[str, float]:
    """What the archiver does in the background: lines to Parquet, with the rows as columns beside them."""
    predictions = folder / "predictions"
    rows = LogFrameReader(problem.schema).read_aligned
    archive.compact_segments(predictions, archive.seal_closed_segments(predictions), dt.date.max, rows)
    return {
        "rows": sum(each.rows for _, part in archive_parts.list_parts(predictions) for each in part.segments.values())
    }


def time_evidently(folder: Path) -> dict[str, float]:
    """Run Evidently's drift report on all rows of the log in `folder`; returns its figures."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    columns = list_profiled_columns(problem.features.FEATURES, TIME)
    rows = pl.read_parquet(folder / "rows.parquet", columns=[*columns, PREDICTION_COLUMN])
    binning = Binning.learn(rows, columns)
    definition = DataDefinition(numerical_columns=list(binning.edges), categorical_columns=list(binning.words))
    half = [rows[:EVIDENTLY_ROWS], rows[-EVIDENTLY_ROWS // 4 :]]
    frames = [each.to_pandas().astype(dict.fromkeys(binning.words, str)) for each in half]
    before, current = (Dataset.from_pandas(each, definition) for each in frames)
    Report([DataDriftPreset()]).run(current, before).dict()
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
