"""Look-ups of single predictions in the index, without the contract: read-only, without waiting, cheap to import."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from penumbra.logs import append_log
from penumbra.logs.schema import STATUS_OK

KEY_FORMAT = 3  # to be raised where the text of a key (penumbra/logs/keys.py) changes
INDEX_FILE = f"index-{KEY_FORMAT}.db"  # so that no process of another version writes keys of another format into it
PREDICTION_QUERY = "SELECT key, max(event, time) FROM predictions WHERE id = ?"
LABELLED_IDS_QUERY = """
SELECT id FROM predictions AS p WHERE id IN (SELECT value FROM json_each(?))
  AND EXISTS (SELECT 1 FROM truth WHERE truth.key = p.key)
"""
REPORTED_IDS_QUERY = """
SELECT id FROM predictions AS p WHERE id IN (SELECT value FROM json_each(?))
  AND EXISTS (SELECT 1 FROM labels WHERE labels.key = p.key AND labels.rank = 1)
"""
REPEATED_KEYS_QUERY = """
SELECT id, key FROM predictions AS p WHERE id IN (SELECT value FROM json_each(?)) AND EXISTS
  (SELECT 1 FROM predictions AS other WHERE other.key = p.key AND other.id <> p.id)
"""
LABEL_HISTORY_QUERY = (
    "SELECT id, value, target, time, source, outcome FROM outcomes WHERE key = ? ORDER BY time, segment, position"
)
COUNTED_LABEL_QUERY = "SELECT id, first FROM truth WHERE key = ?"
SHADOW_RESULTS_QUERY = "SELECT model, output, status, reason FROM shadow WHERE prediction = ? ORDER BY model"


class LabelHistory(NamedTuple):
    """The labels of one prediction; times in seconds since 1970.

    Attributes:
        since: Since when the prediction waits for a label.
        labels: Its labels as dictionaries in the order of their arrival; `counts` is true of the one that does.
        first: When the first label of that one's kind arrived; None where none counts.
    """

    since: float
    labels: list[dict[str, Any]]
    first: float | None


def read_label_history(folder: Path, prediction_id: str) -> LabelHistory | None:
    """Read all labels of a prediction.

    Args:
        folder: The folder of the label log, with the index.
        prediction_id: The prediction's id.

    Returns:
        Its labels; None where the prediction isn't in the index yet.

    Raises:
        sqlite3.Error: Where there is no index or it can't be read.
    """
    with _open_read_only(folder) as db:
        found = db.execute(PREDICTION_QUERY, (prediction_id,)).fetchone()
        if found is None:
            return None
        key, since = found
        counted, first = db.execute(COUNTED_LABEL_QUERY, (key,)).fetchone() or ("", None)
        labels = [_format_label(*row) for row in db.execute(LABEL_HISTORY_QUERY, (key,))]
    return LabelHistory(since, [{**label, "counts": label["label_id"] == counted} for label in labels], first)


def find_labelled_ids(folder: Path, prediction_ids: Sequence[str]) -> set[str]:
    """Find the predictions that have a label.

    Args:
        folder: The folder of the label log, with the index.
        prediction_ids: Ids of predictions.

    Returns:
        Those ids whose prediction has a label.

    Raises:
        sqlite3.Error: Where there is no index or it can't be read.
    """
    with _open_read_only(folder) as db:
        return {name for (name,) in db.execute(LABELLED_IDS_QUERY, (json.dumps(prediction_ids),))}


def find_reported_ids(folder: Path, prediction_ids: Sequence[str]) -> set[str]:
    """Find the predictions whose outcome was reported, by feedback or a batch: a label that isn't of people.

    Args:
        folder: The folder of the label log, with the index.
        prediction_ids: Ids of predictions.

    Returns:
        Those ids whose prediction has such a label.

    Raises:
        sqlite3.Error: Where there is no index or it can't be read.
    """
    with _open_read_only(folder) as db:
        return {name for (name,) in db.execute(REPORTED_IDS_QUERY, (json.dumps(prediction_ids),))}


def find_shared_keys(folder: Path, prediction_ids: Iterable[str]) -> dict[str, str]:
    """Find the predictions whose row was asked about more than once, so that a label of one is one of all.

    Args:
        folder: The folder of the label log, with the index.
        prediction_ids: Ids of predictions.

    Returns:
        The keys of these rows by id; without the ids of rows that were asked about once.

    Raises:
        sqlite3.Error: Where there is no index or it can't be read.
    """
    with _open_read_only(folder) as db:
        return dict(db.execute(REPEATED_KEYS_QUERY, (json.dumps([*prediction_ids]),)))


def read_shadow_results(folder: Path, prediction_id: str) -> list[dict[str, Any]]:
    """Read the answers of the shadow's models to a prediction.

    Args:
        folder: The folder of the label log, with the index.
        prediction_id: The prediction's id.

    Returns:
        A dictionary for each model: `model` and `status`, with `output`, or with the `reason` why there is none.

    Raises:
        sqlite3.Error: Where there is no index or it can't be read.
    """
    with _open_read_only(folder) as db:
        found = db.execute(SHADOW_RESULTS_QUERY, (prediction_id,)).fetchall()
    return [_format_shadow_result(*row) for row in found]


def is_label_index_current(folder: Path) -> bool:
    """Return whether the index in `folder` has taken in every label of the log beside it.

    Raises:
        sqlite3.Error: Where there is no index or it can't be read.
    """
    taken = read_indexed_positions(folder)
    return not any(
        append_log.read_tail(path, taken.get(f"labels/{path.stem}", 0)) for path in append_log.list_segments(folder)
    )


def read_indexed_positions(folder: Path) -> dict[str, int]:
    """Return how many bytes the index in `folder` has taken in of each segment, by `predictions/<name>` and so on.

    Raises:
        sqlite3.Error: Where there is no index or it can't be read.
    """
    with _open_read_only(folder) as db:
        return dict(db.execute("SELECT name, position FROM segments"))


def _open_read_only(folder: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"{(folder.absolute() / INDEX_FILE).as_uri()}?mode=ro", uri=True))


def _format_shadow_result(model: str, output: Any, status: str, reason: str) -> dict[str, Any]:
    if status != STATUS_OK:
        return {"model": model, "status": status, "reason": reason}
    return {"model": model, "status": status, "output": json.loads(output) if isinstance(output, str) else output}


def _format_label(name: str, value: str, target: str | None, time: float, source: str, outcome: str) -> dict[str, Any]:
    said = {"label": json.loads(value), "target": target and json.loads(target)}
    return {"label_id": name, **said, "time": time, "source": source, "outcome": outcome}
