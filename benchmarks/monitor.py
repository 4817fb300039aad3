"""`make bench-monitor`: what it costs to count what was answered and to judge a window, beside Evidently on all rows.

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
from benchmarks import stream
from benchmarks.publish import cpu
from counts import Binning, watched
from monitoring import drift
from problem.schema import TIME
from stores import archive, log
from stores.answered import Answered
from stores.log import Writer, encode
from stores.predictions import Entry
from stores.profiles import Profiles

MILLION, EVIDENTLY = 1_000_000, 200_000
SIZES = (1, 5, float(os.environ.get("ROWS", 20)))
WEEK, ONE_IN, VERDICTS = 7, 200, 20
REFERENCE = ("2013-02", "2013-03")


def main() -> None:
    from benchmarks import reports  # here: its imports would be memory of what is measured

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        per_year = write(folder)
        print(f"{'':<54}{'rows':>12}{'CPU s':>9}{'a million':>11}{'peak MB':>9}")
        lines = _measured("the log as lines, counted", "log", _lines(folder, per_year))
        archived = _measured("the same, made Parquet by the archiver", "archive", folder / "lines")
        counted = [_measured("the log as Parquet, counted", "log", _times(folder, size, per_year)) for size in SIZES]
        theirs = _measured("Evidently's drift preset on all rows", "evidently", folder)
        verdict = _run("verdict", folder)
        print(f"a window of {WEEK} days judged from profiles: {verdict['ms']} ms, in the median {verdict['median']} ms")
        reported = reports.measure(folder)
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


def write(folder: Path) -> int:
    """The year as a log in `once`, its rows as Parquet, and a reference; returns the number of rows."""
    rows = stream.checked(stream.LAST).drop("inputs").with_columns(prediction=0.2 + pl.col("sched_dep_time") / 10_000)
    rows.write_parquet(folder / "rows.parquet")
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


def _lines(folder: Path, per_year: int) -> Path:
    """A log of a million rows or more that nobody has archived."""
    there, once = folder / "lines", log.segments(folder / "once")
    (there / "predictions").mkdir(parents=True)
    for number in range(-(-MILLION // per_year) * len(once)):
        os.link(once[number % len(once)], there / "predictions" / f"{_segment(number)}{log.SUFFIX}")
    (there / "reference.parquet").symlink_to(folder / "reference.parquet")
    return there


def _times(folder: Path, millions: float, per_year: int) -> Path:
    """A log of at least so many rows that is in Parquet only: links to the archived parts of `lines`."""
    there, days = folder / f"{millions:g}", folder / "lines" / "predictions" / archive.DAYS
    (there / "predictions" / archive.DAYS).mkdir(parents=True)
    made, number = 0, 0
    while made < millions * MILLION:
        for path, part in archive.parts(days.parent):
            name = there / "predictions" / archive.DAYS / f"2014-01-01.{number:06}"
            held = {_segment(1000 * number + i): each for i, each in enumerate(part.segments.values())}
            name.with_suffix(f".{number:06}{archive.FACTS}").write_bytes(encode(archive.Part(held, part.sha256)))
            os.link(path.with_suffix(archive.TABLE), name.with_suffix(f".{number:06}{archive.TABLE}"))
            made, number = made + sum(each.rows for each in held.values()), number + 1
    (there / "reference.parquet").symlink_to(folder / "reference.parquet")
    return there


def _segment(number: int) -> str:
    return f"{0x19000000000:011x}{number:06x}"


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


def archived(folder: Path) -> dict[str, float]:
    """What the archiver does in the background: lines to Parquet, with the rows as columns beside them."""
    predictions = folder / "predictions"
    rows = Answered(problem.schema, watched(problem.features.FEATURES, TIME)).aligned
    archive.compact(predictions, archive.seal_closed(predictions), dt.date.max, rows)
    return {"rows": sum(each.rows for _, part in archive.parts(predictions) for each in part.segments.values())}


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


def _peak_mb() -> int:
    """Of this process alone; the kernel's other figure counts in what its parent used."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


MEASURED: dict[str, Callable[[Path], dict[str, float]]] = {
    "log": count_log,
    "archive": archived,
    "evidently": evidently,
    "verdict": verdict,
}


def measure(what: str, folder: Path) -> None:
    if what == "evidently":
        import evidently.presets  # noqa: F401  its seconds aren't counted
    began = cpu()
    found = MEASURED[what](folder)
    print(json.dumps({**found, "cpu": cpu() - began, "mb": _peak_mb()}))


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 1 else main()
