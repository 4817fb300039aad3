"""What indexing predictions with their labels costs, in a process that does nothing else."""

import datetime as dt
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import problem.schema
from penumbra.logs import append_log
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.labels import LabelSpec
from penumbra.logs.schema import LabelEntry

LABELS_PER_APPEND = 5_000


def write_labels(folder: Path, most: int | None = None) -> int:
    """Log a label for each of the first predictions of a log, by the prediction's id.

    Args:
        folder: The folder with the log in `predictions`; the labels go into `labels`.
        most: The number of labels; None: one for each prediction.

    Returns:
        How many there are.
    """
    writer, now, written = LogWriter(folder / "labels"), dt.datetime.now(dt.UTC), 0
    names = islice(_list_prediction_ids(folder / "predictions"), most)
    while part := list(islice(names, LABELS_PER_APPEND)):
        writer.append([encode_json(LabelEntry(now, "feedback", {"arr_delay": 5}, prediction=name)) for name in part])
        written += len(part)
    writer.close()
    return written


def index_log(folder: Path) -> dict[str, float]:
    """Index the log in `folder` with its labels; returns how many predictions there were."""
    LogIndex(folder / "predictions", folder / "labels", LabelSpec.from_schema(problem.schema)).catch_up()
    return {"rows": sum(path.read_bytes().count(b"\n") for path in append_log.list_segments(folder / "predictions"))}


def _list_prediction_ids(predictions: Path) -> Iterator[str]:
    """The ids of all rows: each is its segment and the position of its line."""
    for path in append_log.list_segments(predictions):
        position = 0
        for line in path.read_bytes().splitlines(keepends=True):
            yield f"{path.stem}-{position:x}"
            position += len(line)
