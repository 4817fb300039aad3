"""One prediction's labels, out of the index and without the contract: only reads, waits for nobody, cheap to import."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from penumbra.logs import append_log
from penumbra.logs.schema import STATUS_OK

INDEX_FILE = "index.db"
PREDICTION_QUERY = "SELECT key, max(event, time) FROM predictions WHERE id = ?"
LABELLED_IDS_QUERY = """
SELECT id FROM predictions AS p WHERE id IN (SELECT value FROM json_each(?))
  AND EXISTS (SELECT 1 FROM labels WHERE labels.key = p.key)
"""
LABEL_HISTORY_QUERY = (
    "SELECT id, value, target, time, source, outcome FROM outcomes WHERE key = ? ORDER BY time, segment, position"
)
SHADOW_RESULTS_QUERY = "SELECT model, output, status, reason FROM shadow WHERE prediction = ? ORDER BY model"


def read_label_history(folder: Path, prediction_id: str) -> tuple[float, list[dict[str, Any]]] | None:
    """Since when (seconds since 1970) the prediction waits for a label, and all that it got, the one that counts last;
    None where the prediction isn't in the index yet. Only reads `<folder>/index.db`.

    Raises sqlite3.Error where there is no index or it can't be read.
    """
    with _open_read_only(folder) as db:
        found = db.execute(PREDICTION_QUERY, (prediction_id,)).fetchone()
        if found is None:
            return None
        key, since = found
        return since, [_format_label(*row) for row in db.execute(LABEL_HISTORY_QUERY, (key,))]


def find_labelled_ids(folder: Path, prediction_ids: Sequence[str]) -> set[str]:
    """Those of the predictions that have a label. Raises sqlite3.Error where there is no index or it can't be read."""
    with _open_read_only(folder) as db:
        return {name for (name,) in db.execute(LABELLED_IDS_QUERY, (json.dumps(prediction_ids),))}


def read_shadow_results(folder: Path, prediction_id: str) -> list[dict[str, Any]]:
    """What each model of the shadow said of the prediction, or why it said nothing. Raises sqlite3.Error."""
    with _open_read_only(folder) as db:
        found = db.execute(SHADOW_RESULTS_QUERY, (prediction_id,)).fetchall()
    return [_format_shadow_result(*row) for row in found]


def is_label_index_current(folder: Path) -> bool:
    """Has the index in this folder taken in every label of the log beside it? Raises sqlite3.Error."""
    taken = read_indexed_positions(folder)
    return not any(
        append_log.read_tail(path, taken.get(f"labels/{path.stem}", 0)) for path in append_log.list_segments(folder)
    )


def read_indexed_positions(folder: Path) -> dict[str, int]:
    """How much the index in this folder has taken in of each segment: `predictions/<name>`, … Raises sqlite3.Error."""
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
