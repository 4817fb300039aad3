"""`penumbra bench slices`: seconds and memory of the search for the worst slices, by rows and by values of two columns.

Each search runs in a process of its own. Beside it, in the same process, plain polars sums the losses by pair of values
and day, which anybody who looks for slices does first.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import polars as pl

from penumbra.core.settings import PROJECT_ROOT
from penumbra.training.evaluation.slices import find_worst_slices

SIZES = ((20_000, 2_000), (100_000, 50), (100_000, 5_000), (400_000, 5_000))  # rows, values of each column
DAYS = 60
MOST_SECONDS, MOST_MB = 5.0, 500.0


def main() -> None:
    """Print seconds and memory for each size, and a JSON document in the last line."""
    print(f"{os.cpu_count()} cores; two text columns, {DAYS} days")
    print(f"{'rows':>9}{'values':>8}{'seconds':>9}{'beside polars':>15}{'MB':>8}")
    found = []
    for rows, values in SIZES:
        command = [sys.executable, "-m", "benchmarks.pipeline.slices", str(rows), str(values)]
        done = subprocess.run(command, cwd=PROJECT_ROOT, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        one = found[-1]
        print(f"{rows:>9,}{values:>8,}{one['seconds']:>9.2f}{one['ratio']:>15.1f}{one['mb']:>8.0f}", flush=True)
    aims = {"seconds": MOST_SECONDS, "mb": MOST_MB}
    print(json.dumps({"searches": found, "aims": aims}))


def measure_search(rows: int, values: int) -> None:
    """Search made-up rows once, and print a JSON document.

    Args:
        rows: Number of rows.
        values: Number of values of each of two columns.
    """
    rng = np.random.default_rng(2013)
    columns = {name: rng.integers(0, values, rows).astype(str) for name in ("customer", "product")}
    features, losses, days = pl.DataFrame(columns), rng.exponential(size=rows), np.sort(rng.integers(0, DAYS, rows))
    find_worst_slices(features.head(1000), losses[:1000], days[:1000])  # imports
    before = _read_peak_mb()
    began = time.perf_counter()
    find_worst_slices(features, losses, days)
    seconds, peak = time.perf_counter() - began, _read_peak_mb()
    began = time.perf_counter()
    features.with_columns(loss=losses, day=days).group_by("customer", "product", "day").agg(pl.col("loss").sum())
    ratio = seconds / (time.perf_counter() - began)
    found = {"rows": rows, "values": values, "seconds": round(seconds, 3), "ratio": round(ratio, 2)}
    print(json.dumps({**found, "mb": round(peak, 1), "mb_of_it": round(peak - before, 1)}))


def _read_peak_mb() -> float:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    measure_search(*map(int, sys.argv[1:])) if sys.argv[1:] else main()
