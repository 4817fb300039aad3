"""`penumbra bench score`: batch scoring beside the direct prediction of the same file, and its memory.

Both ways are processes that take a Parquet file and leave one: the direct way reads it piece by piece, predicts with
the same compiled model, and writes the probabilities; it has no contract, rules, log or receipt. Rows are copies of the
example's flights. A rate is the processor time of the rows beyond a small file, so that nobody's start counts. How much
two processes do in the time of one follows from their processor time, as if each had a core. ROWS="20000000" takes
another number of rows than 400,000.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.helpers.process_costs import ProcessCost, measure_command

ROWS, FEW_ROWS, EXPLAINED_ROWS = 400_000, 1_000, 20_000
FEWEST_ROWS = 300_000
ROUNDS = 3
PIECE_ROWS = 32_768
WAYS = ("direct", "score")
ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def main() -> None:
    """Print the figures, and a JSON document in the last line."""
    if (rows := int(os.environ.get("ROWS", ROWS))) < FEWEST_ROWS:
        sys.exit(f"ROWS is {rows:,}: expected at least {FEWEST_ROWS:,}, which two processes share")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_world(folder, {"few": FEW_ROWS, "explained": EXPLAINED_ROWS, "many": rows})
        few = {way: measure_way(folder, way, "few") for way in WAYS}
        costs: dict[str, list[ProcessCost]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS if rows <= ROWS else 1):
            for way in WAYS:
                costs[way].append(measure_way(folder, way, "many"))
        explained = measure_way(folder, "explain", "explained")
        both, few_both = measure_way(folder, "both", "many"), measure_way(folder, "both", "few")
    micros = {
        way: min(cost.cpu_seconds - few[way].cpu_seconds for cost in costs[way]) / (rows - FEW_ROWS) * 1e6
        for way in WAYS
    }
    peak = max(cost.peak_mb for cost in costs["score"])
    of_two = (both.cpu_seconds - few_both.cpu_seconds) / (rows - FEW_ROWS) * 1e6
    for way in WAYS:
        print(f"{way:<8}{micros[way]:>8.2f} µs of processor time a row")
    print(f"by two processes {of_two:.2f} µs; at most {peak:.0f} MB, of two {both.peak_mb:.0f} MB")
    print(json.dumps({
        "over_direct": round(micros["direct"] / micros["score"], 3),
        "peak_mb": round(peak),
        "rows": rows,
        "explained_per_s": round(EXPLAINED_ROWS / (explained.cpu_seconds - few["score"].cpu_seconds)),
        "two_over_one": round(2 * micros["score"] / of_two, 2),
        "peak_mb_of_two": round(both.peak_mb),
    }))  # fmt: skip


def make_world(folder: Path, sizes: dict[str, int]) -> None:
    """Deploy the model that all servers of `bench serve` have, and write a table of each size, by its name."""
    from benchmarks.serving.serve.served_model import make_served_model, make_service_state

    make_served_model(folder)
    make_service_state(folder / "bundle", folder)
    for name, rows in sizes.items():
        _write_flights(folder / f"{name}.parquet", rows)


def measure_way(folder: Path, way: str, table: str) -> ProcessCost:
    """Measure a process that scores a table in a way: "direct", "score", "explain", or by two processes "both"."""
    environ = {**os.environ, **(ONE_THREAD if way != "both" else {})}
    return measure_command([sys.executable, "-m", "benchmarks.pipeline.score", way, str(folder), table], environ)


def score_directly(folder: Path, table: str) -> None:
    """Read a table piece by piece, predict, and write the probabilities."""
    import polars as pl
    from pyarrow import Table
    from pyarrow.parquet import ParquetFile, ParquetWriter

    from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
    from penumbra.registry.bundles.bundle import read_bundle

    bundle = read_bundle(folder / "bundle", load_problem(SERVED_PARTS))
    writer = None
    for batch in ParquetFile(folder / f"{table}.parquet").iter_batches(PIECE_ROWS):
        scores = Table.from_pydict({"probability": bundle.score(pl.DataFrame(pl.from_arrow(batch)))})
        writer = writer or ParquetWriter(folder / "direct.parquet", scores.schema)
        writer.write_table(scores)
    if writer:
        writer.close()


def score_by_penumbra(folder: Path, table: str, processes: int, *options: str) -> None:
    """Do what `penumbra score` does once the live model is deployed."""
    from flows.steps.score.score_order import ScoreOrder, begin_tables
    from flows.steps.score.scoring import score_tables
    from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
    from penumbra.core.settings import load_settings

    places = {"SERVICE__STATE": "state", "SERVICE__PREDICTIONS": "log", "SCORE__FOLDER": "score"}
    settings = load_settings(environ={f"PENUMBRA_{name}": str(folder / place) for name, place in places.items()})
    order = ScoreOrder(str(folder / f"{table}.parquet"), str(folder / "out.parquet"), again=True, options=options)
    for receipt, _ in score_tables(
        settings, load_problem(SERVED_PARTS), order, begin_tables(settings, order), processes
    ):
        print(receipt.facts)
    for path in (folder / "log").rglob("*.jsonl"):  # the disk needn't hold those of every round
        path.unlink()


def _write_flights(path: Path, rows: int) -> None:
    import polars as pl
    from pyarrow.parquet import ParquetWriter

    import problem.schema
    import problem.source

    text = problem.source.parse(problem.source.fetch("2013-04")).with_columns(problem.source.CONVERSIONS)
    flights = problem.schema.Labelled.filter(text, cast=True)[0].select(problem.schema.Row.column_names())
    flights = flights.with_columns(pl.col("carrier", "origin").cast(pl.String)).to_arrow()
    with ParquetWriter(path, flights.schema) as writer:
        for written in range(0, rows, len(flights)):
            writer.write_table(flights.slice(0, rows - written))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "direct":
        score_directly(Path(sys.argv[2]), sys.argv[3])
    else:
        options = {"score": (1,), "both": (2,), "explain": (1, "explain")}[sys.argv[1]]
        score_by_penumbra(Path(sys.argv[2]), sys.argv[3], *options)
