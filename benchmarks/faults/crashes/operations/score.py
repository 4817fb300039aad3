"""The scoring of a table in parts, of which some rows have no answer."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.crashes.operations.operation import Operation, make_settings
from penumbra.core.settings import Settings

ROWS, PART_ROWS = 30, 10
TABLE, ANSWERS, REJECTED = "flights.parquet", "answers.parquet", "answers.rejected.parquet"


def prepare_table(folder: Path) -> None:
    """Deploy a model, and write a table of which two rows break the contract."""
    import dataframely as dy
    import polars as pl

    from problem import schema
    from tests.helpers.servers import local_service

    local_service.deploy_version(folder, "1", baseline=0.25)
    rows = schema.Row.sample(ROWS, generator=dy.random.Generator(1)).with_row_index("n")
    is_odd = pl.col("n").is_in([3, 17])
    rows.with_columns(distance=pl.when(is_odd).then(0).otherwise("distance")).drop("n").write_parquet(folder / TABLE)


def run_score(folder: Path) -> None:
    """Do what `penumbra score` does once the live model is deployed."""
    from flows.steps.score.score_order import ScoreOrder, begin_tables
    from flows.steps.score.scoring import score_tables
    from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem

    settings, order = _make_score_settings(folder), ScoreOrder(str(folder / TABLE), str(folder / ANSWERS))
    tables = begin_tables(settings, order)
    for receipt, _ in score_tables(settings, load_problem(SERVED_PARTS), order, tables):
        print(receipt.facts)


def describe_scores(folder: Path) -> Iterator[str]:
    """Yield a text for each answer with how often its entry is logged, for each rejected row, entry, and file."""
    import polars as pl

    from penumbra.logs.append_log import read_entries

    entries = list(read_entries(folder / "predictions"))
    logged = Counter(entry["id"] for entry in entries)
    for row, name in pl.read_parquet(folder / ANSWERS).select("penumbra.row", "prediction_id").iter_rows():
        yield f"answer: {row}, logged {logged.pop(name, 0)} times"
    yield from (f"entry without an answer: {count} times" for count in logged.values())
    yield from (f"rejected: {row}" for row in pl.read_parquet(folder / REJECTED)["penumbra.row"])
    yield from (f"broken: {entry['fields']}" for entry in read_entries(folder / "predictions/broken"))
    for path in (*(folder / "score").rglob("*"), *(folder / "predictions").rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            yield f"file: {path.suffix}"


def _make_score_settings(folder: Path) -> Settings:
    return make_settings(folder, score__folder=folder / "score", score__part_rows=PART_ROWS)


OPERATIONS = {"score": Operation(prepare_table, run_score, describe_scores, "answer: ", ("flows.steps.score.scoring",))}
