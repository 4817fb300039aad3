"""`penumbra bench ingest`: rows a second beside plain polars doing the same parsing and checks; what one more batch
costs where 10, 100 and 1,000 batches came before, DVC's version and push included; and the memory of one large batch.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

import problem.features
import problem.schema
import problem.source
from benchmarks.pipeline.large_batches import measure_large_batch, write_year
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import DataSettings, load_settings
from penumbra.data.batches import DataStore
from penumbra.data.versioning import versions
from problem.schema import CARRIERS, ORIGINS

PROBLEM = load_problem()

ROUNDS, NEW_BATCHES, ROWS_PER_BATCH = 5, 7, 300
HISTORY_SIZES = (10, 100, 1000)
LARGE_YEARS = (3, 12, 48)  # years of flights in one batch: 1, 4 and 16 million rows
COLUMN_LIMITS = {
    "flight": (1, 9999), "sched_dep_time": (0, 2359), "sched_arr_time": (0, 2400), "distance": (10, 10_000),
    "temp": (-60, 140), "dewp": (-80, 100), "humid": (0, 100), "wind_dir": (0, 360), "wind_speed": (0, 200),
    "precip": (0, 20), "pressure": (870, 1085), "visib": (0, 10), "arr_delay": (-300, 3000),
}  # fmt: skip
INTEGER_COLUMNS = ("flight", "sched_dep_time", "sched_arr_time", "distance", "wind_dir", "arr_delay")
REQUIRED_COLUMNS = ("carrier", "flight", "time_hour", "origin", "dest", "sched_dep_time", "sched_arr_time", "distance")


def main() -> None:
    rates = measure_ingest_rates()
    costs = {count: measure_one_more_batch(count) for count in HISTORY_SIZES}
    large = measure_large_batches()
    print(f"{os.cpu_count()} cores; 2013 in 12 batches, medians of {ROUNDS} rounds in turns")
    for name, rate in rates.items():
        print(f"{name:<28}{rate:>12,.0f} rows/s")
    print(f"\n{'batches before':<16}{'one more, s':>14}{'of it checking, s':>20}{'peak MB':>10}")
    for count, cost in costs.items():
        print(f"{count:<16,}{cost['total']:>14.3f}{cost['own']:>20.3f}{cost['peak_mb']:>10.0f}")
    print(f"\n{'rows of one batch':<20}{'raw MB':>10}{'seconds':>10}{'peak MB':>10}")
    for batch in large:
        print(f"{batch['rows']:<20,}{batch['mb']:>10,.0f}{batch['seconds']:>10.1f}{batch['peak_mb']:>10.0f}")
    print(json.dumps({
        "over_plain": round(rates["plain polars"] / rates["penumbra"], 2),
        "cost_1000_over_10": round(costs[1000]["total"] / costs[10]["total"], 2),
        "peak_mb_1000_over_10": round(costs[1000]["peak_mb"] / costs[10]["peak_mb"], 2),
        "peak_mb_16_million_over_1": round(large[-1]["peak_mb"] / large[0]["peak_mb"], 2),
    }))  # fmt: skip


def measure_ingest_rates() -> dict[str, float]:
    """Rows a second of both ways over the whole year, the raw bytes being in memory."""
    year = {batch.name: problem.source.fetch(batch.name) for batch in problem.source.batches()}
    rows = sum(files["flights.csv"].count(b"\n") - 1 for files in year.values())
    taken: dict[str, list[float]] = {"penumbra": [], "plain polars": []}
    for _ in range(ROUNDS):
        for name, way in (("penumbra", _ingest_with_penumbra), ("plain polars", _ingest_with_polars)):
            with tempfile.TemporaryDirectory() as folder:
                taken[name].append(_measure_seconds(lambda way=way, folder=folder: way(Path(folder), year)))
    return {name: rows / statistics.median(seconds) for name, seconds in taken.items()}


def _ingest_with_penumbra(folder: Path, year: dict[str, dict[str, bytes]]) -> None:
    store = DataStore(_make_data_settings(folder), PROBLEM)
    for batch, files in year.items():
        store.stage(batch, files)
    store.admit(year)


def _ingest_with_polars(folder: Path, year: dict[str, dict[str, bytes]]) -> None:
    for batch, files in year.items():
        rows = problem.source.parse(files).with_columns(problem.source.CONVERSIONS)
        numbers = [
            pl.col(name).cast(pl.Int32 if name in INTEGER_COLUMNS else pl.Float64, strict=False)
            for name in COLUMN_LIMITS
        ]
        kept = rows.with_columns(numbers).with_columns(make_contract_check().alias("valid"))
        kept.filter("valid").write_parquet(folder / f"{batch}.parquet")
        kept.filter(~pl.col("valid")).write_parquet(folder / f"{batch}-rejected.parquet")
        for name, content in files.items():
            (folder / f"{batch}-{name}").write_bytes(content)


def make_contract_check() -> pl.Expr:
    """The contract of the example, written by hand."""
    ranges = [pl.col(name).is_between(low, high).fill_null(True) for name, (low, high) in COLUMN_LIMITS.items()]
    present = [pl.col(name).is_not_null() for name in REQUIRED_COLUMNS]
    clocks = [pl.col(name) % 100 < 60 for name in ("sched_dep_time", "sched_arr_time")]
    words = [
        pl.col("carrier").is_in(CARRIERS),
        pl.col("origin").is_in(ORIGINS),
        pl.col("dest").str.contains("^[A-Z]{3}$"),
    ]
    key = pl.struct("carrier", "flight", "time_hour").is_unique()
    between = (pl.col("dewp") <= pl.col("temp")).fill_null(True)
    return pl.all_horizontal(*ranges, *present, *clocks, *words, key, between)


def measure_one_more_batch(count: int) -> dict[str, float]:
    """Median seconds for one new batch, and the peak memory of the process that ingests it, after `count` batches."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".dvc").mkdir()
        (Path(folder) / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
        for what in (f"0 {count}", f"{count} {NEW_BATCHES}"):
            command = [sys.executable, "-m", "benchmarks.pipeline.ingest", folder, *what.split()]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure_large_batches() -> list[dict[str, float]]:
    """What `measure_large_batch` returns of each size."""
    with tempfile.TemporaryDirectory() as folder:
        write_year(year := Path(folder) / "year.csv")
        return [measure_large_batch(year, copies) for copies in LARGE_YEARS]


def ingest_small_batches(folder: Path, first: int, count: int) -> None:
    """In a process of its own: a history of small batches in one go (first = 0), or months one by one, timed."""
    data, batches = _make_data_settings(folder), [f"b{number:05}" for number in range(first, first + count)]
    store, month = DataStore(data, PROBLEM), problem.source.fetch("2013-01")
    if first == 0:
        small = {name: b"\n".join(text.split(b"\n")[: ROWS_PER_BATCH + 1]) + b"\n" for name, text in month.items()}
        for batch in batches:
            store.stage(batch, _make_distinct(small, batch))
        store.admit(batches)
        versions.record_data_version(data)
        return
    taken = [_time_batch(store, data, batch, _make_distinct(month, batch)) for batch in batches][1:]
    total, own = (statistics.median(column) for column in zip(*taken, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    print(json.dumps({"total": total, "own": own, "peak_mb": peak}))


def _time_batch(store: DataStore, data: DataSettings, batch: str, files: dict[str, bytes]) -> tuple[float, float]:
    own = _measure_seconds(lambda: (store.stage(batch, files), store.admit([batch])))
    return own + _measure_seconds(lambda: versions.record_data_version(data, checksums=store.checksums)), own


def _make_distinct(files: dict[str, bytes], batch: str) -> dict[str, bytes]:
    """The same rows but for the first one's flight number, so that each batch has a content of its own."""
    header, line, rest = files["flights.csv"].split(b"\n", 2)
    cells = line.split(b",")
    cells[header.split(b",").index(b"flight")] = b"%d" % (int(batch[1:]) % 9000 + 1)
    return {**files, "flights.csv": b"\n".join([header, b",".join(cells), rest])}


def _make_data_settings(folder: Path) -> DataSettings:
    changed = {"folder": folder / "data", "derived": folder / "derived", "remote": str(folder / "remote")}
    return load_settings().data.model_copy(update=changed)


def _measure_seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ingest_small_batches(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
