"""Kills each operation before and after each of its steps, runs it again, and compares with the undisturbed end.

`python -m benchmarks.faults.crashes.kill_points --every 5 promote reject` is a part of it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from benchmarks.faults.crashes.killed_operation import OPERATIONS, Outcome
from benchmarks.faults.report import FaultReport
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.text.tables import format_table

AT_ONCE = 2


def inject_faults(operations: Sequence[str] = tuple(OPERATIONS), every: int = 1) -> FaultReport:
    """Kill operations at their steps.

    Args:
        operations: Names of operations.
        every: Kill at every so many of the moments only.

    Returns:
        By operation the number of kills, of those that lost something, and of those that left something twice.
    """
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = dict(
            zip(operations, pool.map(lambda name: _run_alone(name, Path(folder), every), operations), strict=True)
        )
    rows = [(name, *map(len, (found["kills"], found["lost"], found["twice"]))) for name, found in outcomes.items()]
    table = pl.DataFrame(rows, ["operation", "kill_points", "lost", "twice"], orient="row")
    counts = {name: int(table[name].sum()) for name in ("kill_points", "lost", "twice")}
    said = [f"{name}: {text}" for name, found in outcomes.items() for text in [*found["lost"], *found["twice"]]]
    return FaultReport(counts, table, tuple(said))


def _run_alone(name: str, folder: Path, every: int) -> Outcome:
    command = [
        sys.executable,
        "-m",
        "benchmarks.faults.crashes.killed_operation",
        name,
        str(folder.resolve() / name),
        str(every),
    ]
    done = subprocess.run(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: Outcome = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run with the arguments of the command line, and print table, findings and counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operations", nargs="*", default=list(OPERATIONS), metavar="operation")
    parser.add_argument("--every", type=int, default=1, help="kill at every so many of the moments only")
    given = parser.parse_args()
    report = inject_faults(given.operations, given.every)
    print(format_table(report.table), *report.findings, json.dumps(dict(report.counts)), sep="\n")


if __name__ == "__main__":
    main()
