"""`penumbra bench growth`: how the cost of a row and peak memory grow with the number of rows, stage by stage.

Each measurement is a process of its own, from its start to its end: processor time of all its processes, and the most
memory of them at once. MILLIONS="10 100" takes other numbers of rows, in place of "0.08 1". Rows are copies of the
example's, which are streamed; training and backtest go up to ten million, whose matrices fit into memory.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from benchmarks.backtest import BACKTEST_COMMAND, sum_fit_seconds
from benchmarks.growth.sizes import MOST_EVIDENTLY_ROWS, MOST_ROWS, OURS, SIZES
from benchmarks.growth.table import PLAIN_TRAINING, GrowthCosts, format_growth_table
from benchmarks.monitor.line_logs import link_line_log, write_year
from benchmarks.process_costs import ProcessCost, measure_command
from benchmarks.train import ONE_THREAD, TRAINING_COMMANDS, make_environment
from tests.helpers.checkout import FLIGHTS, link_checkout

MILLION = 1_000_000
CANDIDATE = "gradient_boosting"
PYTHON = [sys.executable, "-m"]


def main() -> None:
    """Print a table, and a JSON document in the last line; what fails is said and left out, and the exit code is 1."""
    millions = os.environ.get("MILLIONS", "0.08 1").split()
    sizes = [min(SIZES, key=lambda rows, each=each: abs(rows - float(each) * MILLION)) for each in millions]
    costs, failures = GrowthCosts(), list[str]()
    for rows in sizes:
        for measure in (measure_data_stages, measure_log_stages):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    for stage, way, cost, of in measure(Path(folder), rows):
                        costs[stage, way, rows] = _round_cost(cost, of)
                        print(f"{stage}, {way}, {rows:,} rows: {cost.seconds:.0f} s", file=sys.stderr, flush=True)
                except SystemExit as failure:
                    failures.append(f"{rows:,} rows: {failure}")
    print(format_growth_table(costs))
    nested: dict[str, dict[str, dict[int, dict[str, float]]]] = {}
    for (stage, way, rows), cost in costs.items():
        nested.setdefault(stage, {}).setdefault(way, {})[rows] = cost
    print(json.dumps({"costs": nested}))
    if failures:
        sys.exit("\n".join(failures))


def measure_data_stages(folder: Path, rows: int) -> Iterator[tuple[str, str, ProcessCost, int]]:
    """Measure ingest, training and backtest beside others.

    Args:
        folder: An empty folder.
        rows: One of `SIZES`.

    Yields:
        Stage, way, cost and the number of rows.

    Raises:
        SystemExit: A process failed.
    """
    environ, checkout = _make_world(folder, rows), folder / "checkout"
    last_month = f"2013-{SIZES[rows][0]:02}-01"

    def measure(*command: str, **variables: str) -> ProcessCost:
        return measure_command(command, environ | variables, checkout)

    yield "ingest", OURS, measure(sys.executable, "flows/ingest.py", "--no-pylint", "run"), rows
    yield "ingest", "plain polars", measure(*PYTHON, "benchmarks.growth.peers", "ingest", f"{folder}/data"), rows
    peers = folder / "peer"
    (peers / ".dvc").mkdir(parents=True)
    (peers / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (folder / "data").rename(peers / "data")
    dvc = [Path(sys.executable).parent / "dvc", "add", "--quiet", "data"]
    yield "ingest", "dvc add", measure_command(dvc, environ, peers), rows
    (peers / "data").rename(folder / "data")
    if rows <= MOST_ROWS["training"]:
        yield "training", OURS, measure(*TRAINING_COMMANDS["flow"]), rows
        yield "training", PLAIN_TRAINING, measure(*TRAINING_COMMANDS["joblib"], **ONE_THREAD), rows
    if rows <= MOST_ROWS["backtest"]:
        yield "backtest", OURS, (cost := measure(*BACKTEST_COMMAND, PENUMBRA_DATA__TODAY=last_month)), rows
        yield "backtest", "its fits", ProcessCost(cost.seconds, sum_fit_seconds(folder / "backtest"), 0, ""), rows


def measure_log_stages(folder: Path, rows: int) -> Iterator[tuple[str, str, ProcessCost, int]]:
    """Measure the archive of the prediction log and the monitor's counts of it, as `measure_data_stages` does."""
    write_year(folder)
    log = link_line_log(folder / "log", folder / "once", rows)

    def measure(*command: str) -> ProcessCost:
        return measure_command([*PYTHON, *command])

    plain = measure("benchmarks.growth.peers", "archive", f"{log}")
    for stage, name in (("archive", "archive"), ("monitoring", "log")):
        cost = measure("benchmarks.monitor", name, f"{log}")
        of = json.loads(cost.output.splitlines()[-1])["rows"]
        yield stage, OURS, cost, of
    yield "archive", "plain polars", plain, of
    if rows <= MOST_EVIDENTLY_ROWS:
        year = pl.read_parquet(folder / "rows.parquet")
        pl.concat([year] * -(-rows // year.height)).head(rows).write_parquet(log / "rows.parquet")
        yield "monitoring", "Evidently", measure("benchmarks.growth.peers", "monitoring", f"{log}"), rows


def _make_world(folder: Path, rows: int) -> dict[str, str]:
    """A checkout whose source has so many rows, and the environment of a data store of its own."""
    months, copies = SIZES[rows]
    (problem := folder / "problem").mkdir()
    (checkout := folder / "checkout").mkdir()
    for path in FLIGHTS.glob("*.py"):
        copied = Path(__file__).with_name("copied_source.py")
        (problem / path.name).symlink_to(copied if path.name == "source.py" else path)
    link_checkout(checkout, problem)
    own = {
        "MONTHS": f"{months}",
        "COPIES": f"{copies}",
        "PYTHONPATH": f"{checkout}",
        "PENUMBRA_TRAINING__CANDIDATES": CANDIDATE,
        "PENUMBRA_BACKTEST__FOLDER": f"{folder}/backtest",
    }
    return make_environment(folder, f"2013-{months + 1:02}-01" if months < 12 else "2014-01-01") | own


def _round_cost(cost: ProcessCost, rows: int) -> Mapping[str, float]:
    memory = {"peak_mb": round(cost.peak_mb)} if cost.peak_mb else {}
    return {"cpu_s_per_million": round(cost.cpu_seconds / rows * MILLION, 2), **memory}


if __name__ == "__main__":
    main()
