"""The archive of a log, and the index of predictions and labels."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.crashes.operations.operation import Operation, make_settings

INDEXED_TABLES = ("predictions", "labels", "shadow", "days", "arrivals", "segments")


def prepare_logs(folder: Path) -> None:
    """Log some predictions in three segments, and a label for each."""
    from tests.helpers.logs import prediction_logs as logs

    for first in (1, 11, 21):
        flights = range(first, first + 10)
        logs.log_predictions(folder, *(logs.make_prediction(flight) for flight in flights))
        logs.log_labels(folder, *(logs.make_label_by_key(flight, flight) for flight in flights))


def prepare_indexed_logs(folder: Path) -> None:
    """Log them and index them, so that segments may be deleted."""
    prepare_logs(folder)
    run_index(folder)


def run_archive(folder: Path) -> None:
    """Do what the archiver does in a pass, long after the last answer."""
    from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
    from service.processes.archiver import archive_due_segments

    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=400)
    settings = make_settings(folder, log__archive=folder / "archive")
    print(*archive_due_segments(settings, load_problem(SERVED_PARTS), later), sep="\n")


def run_index(folder: Path) -> None:
    """Do what the indexer does in a pass."""
    from penumbra.core.loading.problem_loading import load_problem
    from penumbra.logs.indexing.index import LogIndex

    print(LogIndex.from_settings(make_settings(folder), load_problem(["schema"]).schema).catch_up())


def describe_archive(folder: Path) -> Iterator[str]:
    """Yield a text for each line that can be read, and for each file that is left, by its kind."""
    from penumbra.logs import append_log
    from penumbra.logs.archiving import archive_parts

    log = folder / "predictions"
    yield from (f"line of a segment: {entry}" for entry in append_log.read_entries(log))
    for segment, content in archive_parts.read_deleted_segments(log, lambda name: False):
        yield from (f"archived line of {segment}: {line!r}" for line in content.splitlines())
    for path in (*log.rglob("*"), *(folder / "archive").rglob("*")):
        if path.is_file() and path.suffix != ".lock" and not path.name.startswith("."):
            yield f"file: {path.parent.relative_to(folder)} {path.suffix}"


def describe_index(folder: Path) -> Iterator[str]:
    """Yield a text for each row of the index."""
    from penumbra.logs.queries.lookup import INDEX_FILE

    with sqlite3.connect(folder / "labels" / INDEX_FILE) as db:
        for table in INDEXED_TABLES:
            yield from (f"{table}: {row}" for row in db.execute(f"SELECT * FROM {table}"))


OPERATIONS = {
    "archive": Operation(
        prepare_indexed_logs, run_archive, describe_archive, "archived line of ", ("service.processes.archiver",)
    ),
    "index": Operation(prepare_logs, run_index, describe_index, "predictions: ", ("penumbra.logs.indexing.index",)),
}
