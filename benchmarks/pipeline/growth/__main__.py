"""`penumbra bench growth`: how the cost of a row and peak memory grow with the number of rows, stage by stage.

Each measurement is a process of its own, from its start to its end: processor time of all its processes, and the most
memory of them at once. MILLIONS="10 100" takes other numbers of rows, in place of "0.08 1", and STAGES="ingest archive"
some of the stages: figures of several runs are compared with each other. Rows are copies of the example's, which are
streamed; training and backtest go up to ten million, whose matrices fit into memory.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import polars as pl

from benchmarks.helpers.process_costs import ProcessCost, measure_command
from benchmarks.pipeline.backtest import BACKTEST_COMMAND, sum_fit_seconds
from benchmarks.pipeline.growth.prepared_rows import PYTHON, PreparedRows
from benchmarks.pipeline.growth.sizes import MOST_PEER_ROWS, MOST_ROWS, OURS, SIZES, STAGES
from benchmarks.pipeline.growth.table import PLAIN_TRAINING, GrowthCosts, format_growth_table
from benchmarks.pipeline.train import ONE_THREAD, TRAINING_COMMANDS

MILLION = 1_000_000
WayCosts = Iterator[tuple[str, ProcessCost, int]]
"""Each way with its cost, and the number of rows."""


def main() -> None:
    """Print a table, and a JSON document in the last line; what fails is said and left out, and the exit code is 1."""
    millions = os.environ.get("MILLIONS", "0.08 1").split()
    stages = os.environ.get("STAGES", " ".join(STAGES)).split()
    if unknown := [stage for stage in stages if stage not in STAGES]:
        sys.exit(f"STAGES has {unknown[0]!r}: expected some of {', '.join(STAGES)}")
    sizes = [min(SIZES, key=lambda rows, each=each: abs(rows - float(each) * MILLION)) for each in millions]
    costs, failures = GrowthCosts(), list[str]()
    with tempfile.TemporaryDirectory() as place:
        for rows in sizes:
            (folder := Path(place) / f"{rows}").mkdir()
            prepared = PreparedRows(folder, Path(place) / "year", rows)
            for stage in (each for each in stages if rows <= MOST_ROWS.get(each, rows)):
                try:
                    for way, cost, of in MEASURES[stage](prepared):
                        costs[stage, way, rows] = _round_cost(cost, of)
                        taken = f"{cost.seconds:.0f} s, {cost.cpu_seconds:.0f} CPU s"
                        print(f"{stage}, {way}, {rows:,} rows: {taken}", file=sys.stderr, flush=True)
                except SystemExit as failure:
                    failures.append(f"{stage}, {rows:,} rows: {failure}")
            shutil.rmtree(folder)
    print(format_growth_table(costs))
    nested: dict[str, dict[str, dict[int, dict[str, float]]]] = {}
    for (stage, way, rows), cost in costs.items():
        nested.setdefault(stage, {}).setdefault(way, {})[rows] = cost
    print(json.dumps({"costs": nested}))
    if failures:
        sys.exit("\n".join(failures))


def measure_ingest(prepared: PreparedRows) -> WayCosts:
    """Measure ingest beside polars' parsing and checks of the same files, and beside DVC's version of them.

    Peers come first, as what they write is removed: a hundred million ingested rows leave no room beside them.
    """
    (written := prepared.folder / "plain").mkdir()
    plain = prepared.measure(*PYTHON, "benchmarks.pipeline.growth.peers", "ingest", prepared.raw, written)
    yield "plain polars", plain, prepared.rows
    shutil.rmtree(written)
    (dvc := prepared.raw.parent / ".dvc").mkdir()
    (dvc / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    command = [Path(sys.executable).parent / "dvc", "add", "--quiet", prepared.raw.name]
    yield "dvc add", measure_command(command, prepared.environ, prepared.raw.parent), prepared.rows
    shutil.rmtree(dvc)
    yield OURS, prepared.ingest_cost, prepared.rows


def measure_training(prepared: PreparedRows) -> WayCosts:
    """Measure training beside the plain fits of the same candidate."""
    _ = prepared.ingest_cost
    yield OURS, prepared.measure(*TRAINING_COMMANDS["flow"]), prepared.rows
    yield PLAIN_TRAINING, prepared.measure(*TRAINING_COMMANDS["joblib"], **ONE_THREAD), prepared.rows


def measure_backtest(prepared: PreparedRows) -> WayCosts:
    """Measure a backtest of the last month, and the processor time of its fits."""
    last_month = f"2013-{SIZES[prepared.rows][0]:02}-01"
    yield OURS, (cost := prepared.measure(*BACKTEST_COMMAND, PENUMBRA_DATA__TODAY=last_month)), prepared.rows
    fits = ProcessCost(cost.seconds, sum_fit_seconds(prepared.folder / "backtest"), 0, "")
    yield "its fits", fits, prepared.rows


def measure_archive(prepared: PreparedRows) -> WayCosts:
    """Measure the archive of the prediction log beside polars' conversion of the same lines."""
    plain = measure_command([*PYTHON, "benchmarks.pipeline.growth.peers", "archive", prepared.lines, prepared.folder])
    cost = prepared.archive_cost
    yield OURS, cost, (rows := _read_row_count(cost))
    yield "plain polars", plain, rows


def measure_monitoring(prepared: PreparedRows) -> WayCosts:
    """Measure the monitor's counts of an archived prediction log beside Evidently's drift preset on all rows."""
    cost = measure_command([*PYTHON, "benchmarks.pipeline.monitor", "log", prepared.archived])
    yield OURS, cost, _read_row_count(cost)
    if prepared.rows <= MOST_PEER_ROWS["monitoring", "Evidently"]:
        year, rows = pl.read_parquet(prepared.year / "rows.parquet"), prepared.folder / "rows.parquet"
        pl.concat([year] * -(-prepared.rows // year.height)).head(prepared.rows).write_parquet(rows)
        command = [*PYTHON, "benchmarks.pipeline.growth.peers", "monitoring", rows, prepared.folder]
        yield "Evidently", measure_command(command), prepared.rows


MEASURES: Mapping[str, Callable[[PreparedRows], WayCosts]] = {
    "ingest": measure_ingest,
    "training": measure_training,
    "backtest": measure_backtest,
    "archive": measure_archive,
    "monitoring": measure_monitoring,
}


def _read_row_count(cost: ProcessCost) -> int:
    return int(json.loads(cost.output.splitlines()[-1])["rows"])


def _round_cost(cost: ProcessCost, rows: int) -> Mapping[str, float]:
    memory = {"peak_mb": round(cost.peak_mb)} if cost.peak_mb else {}
    return {"cpu_s_per_million": round(cost.cpu_seconds / rows * MILLION, 2), **memory}


if __name__ == "__main__":
    main()
