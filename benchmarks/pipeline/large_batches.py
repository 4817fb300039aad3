"""One batch of many million rows, ingested by a process of its own: seconds and peak memory, for `bench ingest`."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

import problem.source
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.raw_files import RawFiles
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import fetch_batch_files
from penumbra.data.versioning import versions

FILE, BATCH, FIRST_YEAR = "flights.csv", "flights", 2000


def write_year(path: Path) -> None:
    """Write the example's year, flights beside their weather, as a CSV file at `path`."""
    months = [batch.name for batch in problem.source.batches()]
    pl.concat([problem.source.parse(problem.source.fetch(month)) for month in months]).write_csv(path)


def measure_large_batch(year: Path, copies: int) -> dict[str, float]:
    """Ingest one batch, DVC's version included, in a process of its own.

    Args:
        year: What `write_year` wrote. What is ingested is written beside it.
        copies: How many years the batch has.

    Returns:
        The batch's `rows`, its raw `mb`, the `seconds`, and the process's `peak_mb`.
    """
    command = [sys.executable, "-m", "benchmarks.pipeline.large_batches", str(year), str(copies)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _ingest(year: Path, copies: int) -> dict[str, float]:
    folder, streamed = year.parent / f"{copies}", load_problem()
    streamed.source.fetch = lambda batch: {FILE: _repeat_year(year, copies)}
    streamed.source.parse = _parse
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    changed = {"folder": folder / "data", "derived": folder / "derived", "remote": "", "bad_row_share": 0.1}
    store, start = DataStore(load_settings().data.model_copy(update=changed), streamed), time.perf_counter()
    result = store.stage(BATCH, fetch_batch_files(streamed, BATCH))
    store.admit([BATCH])
    versions.record_data_version(store.settings, checksums=store.checksums)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    size = (store.raw / BATCH / FILE).stat().st_size / 1e6
    return {"rows": result.rows, "mb": size, "seconds": time.perf_counter() - start, "peak_mb": peak}


def _repeat_year(path: Path, copies: int) -> Iterator[bytes]:
    """The file again and again, each time with another year and without its header."""
    header, lines = path.read_bytes().split(b"\n", 1)
    yield header + b"\n"
    for number in range(copies):
        yield lines.replace(b",2013-", b",%d-" % (FIRST_YEAR + number))


def _parse(files: RawFiles) -> pl.LazyFrame:
    return pl.scan_csv(files.paths[FILE], glob=False, infer_schema=False, null_values=["", "NA"])


if __name__ == "__main__":
    print(json.dumps(_ingest(Path(sys.argv[1]), int(sys.argv[2]))))
