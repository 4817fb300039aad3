"""`make bench-monitor`: what it costs to count what was answered and to judge a window, beside Evidently on all rows.

Each measurement is a process of its own. The log is the year's flights as the service writes them, again and again:
links to the same segments under other names. ROWS=100 for another number of million rows than 20 in the largest one.
"""

import datetime as dt
import json
import os
import resource
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
from benchmarks import stream
from counts import Binning, by_day, watched
from monitoring import drift
from problem.schema import TIME
from stores import archive, log
from stores.log import Writer, encode
from stores.predictions import Entry
from stores.profiles import Profiles

MILLION, EVIDENTLY = 1_000_000, 200_000
SIZES = (1, 5, float(os.environ.get("ROWS", 20)))
WEEK, ONE_IN, VERDICTS, YEARS = 7, 200, 20, 3
REFERENCE = ("2013-02", "2013-03")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        per_year = write(folder)
        print(f"{'':<54}{'rows':>12}{'CPU s':>9}{'a million':>11}{'peak MB':>9}")
        counted = [_measured("the log, counted", "log", _times(folder, millions, per_year)) for millions in SIZES]
        _measured("a million of it as archived Parquet, counted", "log", _archived(folder, per_year))
        typed = _measured("rows as typed columns, counted", "typed", folder)
        theirs = _measured("Evidently's drift preset on all of them", "evidently", folder)
        verdict = _run("verdict", folder)
        print(f"a window of {WEEK} days judged from profiles: {verdict['ms']} ms, in the median {verdict['median']} ms")
    result = {
        "cpu_s_per_million": counted[-1]["a_million"],
        "peak_mb": max(each["mb"] for each in counted),
        "verdict_ms": verdict["ms"],
        "over_evidently": round(theirs["a_million"] / counted[-1]["a_million"], 1),
        "counting_s_per_million": typed["a_million"],
    }
    print(json.dumps(result))


def write(folder: Path) -> int:
    """The year as a log in `once`, its rows as Parquet, and a reference; returns the number of rows."""
    rows = stream.checked(stream.LAST).drop("inputs").with_columns(prediction=0.2 + pl.col("sched_dep_time") / 10_000)
    rows.write_parquet(folder / "rows.parquet", row_group_size=65_536)
    rows.filter(pl.col("batch").is_in(REFERENCE)).write_parquet(folder / "reference.parquet")
    writer, names = Writer(folder / "once"), list(problem.schema.Row.columns())
    said = rows["prediction"].to_list()
    for first in range(0, rows.height, 1000):
        records = rows[first : first + 1000].select(names).iter_rows(named=True)
        writer.append([encode(_entry(record, said[first + i])) for i, record in enumerate(records)])
    writer.close()
    return rows.height


def _entry(record: dict[str, Any], score: float) -> Entry:
    inputs = [float(value) if isinstance(value, int | float) else 3.0 for value in record.values()]
    return Entry(dt.datetime.now(dt.UTC), "0123456789ab", record, inputs, score, score > 0.3, "1", 80)


def _times(folder: Path, millions: float, per_year: int) -> Path:
    """A log of at least so many rows: links to the segments of `once`, under names of their own."""
    there = folder / f"{millions:g}"
    (there / "predictions").mkdir(parents=True)
    segments = log.segments(folder / "once")
    for number in range(-(-int(millions * MILLION) // per_year) * len(segments)):
        name = f"{0x19000000000 + number:011x}{number:06x}{log.SUFFIX}"
        os.link(segments[number % len(segments)], there / "predictions" / name)
    (there / "reference.parquet").symlink_to(folder / "reference.parquet")
    return there


def _archived(folder: Path, per_year: int) -> Path:
    there = folder / "archived"
    there.mkdir()
    _times(there.parent, 1.0001, per_year).rename(there / "log")
    predictions = there / "log" / "predictions"
    archive.compact(predictions, archive.seal_closed(predictions), dt.date.max)
    for path in log.segments(predictions):
        path.unlink()
    return there / "log"


def _measured(name: str, what: str, folder: Path) -> dict[str, float]:
    found = _run(what, folder)
    found["a_million"] = round(found["cpu"] / found["rows"] * MILLION, 2)
    print(
        f"{name:<54}{found['rows']:>12,}{found['cpu']:>9.1f}{found['a_million']:>11.2f}{found['mb']:>9.0f}", flush=True
    )
    return found


def _run(what: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.monitor", what, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def count_log(folder: Path) -> dict[str, float]:
    made = _profiles(folder)
    return {"rows": made.update(lambda model: pl.read_parquet(folder / "reference.parquet"))}


def count_typed(folder: Path) -> dict[str, float]:
    """A million of rows, a row group at a time."""
    import pyarrow.parquet

    columns = watched(problem.features.FEATURES, TIME)
    binning = Binning.learn(pl.read_parquet(folder / "reference.parquet"), columns)
    file = pyarrow.parquet.ParquetFile(folder / "rows.parquet")
    rows = 0
    for number in [*range(file.num_row_groups)] * YEARS:
        part = pl.DataFrame(pl.from_arrow(file.read_row_group(number, [*columns, "prediction", TIME])))
        by_day(part, binning, TIME)
        rows += part.height
    return {"rows": rows}


def evidently(folder: Path) -> dict[str, float]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    columns = watched(problem.features.FEATURES, TIME)
    rows = pl.read_parquet(folder / "rows.parquet", columns=[*columns, "prediction"])
    binning = Binning.learn(rows, columns)
    definition = DataDefinition(numerical_columns=list(binning.edges), categorical_columns=list(binning.words))
    half = [rows[:EVIDENTLY], rows[-EVIDENTLY // 4 :]]
    frames = [each.to_pandas().astype(dict.fromkeys(binning.words, str)) for each in half]
    before, current = (Dataset.from_pandas(each, definition) for each in frames)
    Report([DataDriftPreset()]).run(current, before).dict()
    return {"rows": sum(map(len, frames))}


def verdict(folder: Path) -> dict[str, float]:
    """Milliseconds of a verdict: the profiles of window and reference from the store, and the judgement."""
    made, model, begin = _profiles(folder / "1"), "1", dt.date(2013, 5, 6)
    taken = []
    for week in range(VERDICTS):
        first, started = begin + dt.timedelta(days=WEEK * week), time.perf_counter()
        days = made.window(first, first + dt.timedelta(days=WEEK), model)
        drift.judge([*days.values()], [*made.reference(model).values()], made.binning(model), ONE_IN)
        taken.append(1e3 * (time.perf_counter() - started))
    return {"ms": round(min(taken), 1), "median": round(float(np.median(taken)), 1)}


def _profiles(folder: Path) -> Profiles:
    return Profiles(folder / "monitor", folder / "predictions", problem.schema, problem.features.FEATURES)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> int:
    """Of this process alone; the kernel's other figure counts in what its parent used."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


MEASURED: dict[str, Callable[[Path], dict[str, float]]] = {
    "log": count_log,
    "typed": count_typed,
    "evidently": evidently,
    "verdict": verdict,
}


def measure(what: str, folder: Path) -> None:
    if what == "evidently":
        import evidently.presets  # noqa: F401  its seconds aren't counted
    began = _cpu()
    found = MEASURED[what](folder)
    print(json.dumps({**found, "cpu": _cpu() - began, "mb": _peak_mb()}))


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 1 else main()
