"""One prediction's labels, out of the index and without the contract: only reads, waits for nobody, cheap to import."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from stores import log
from stores.shadow import OK

NAME = "index.db"
PREDICTION = "SELECT key, max(event, time) FROM predictions WHERE id = ?"
LABELLED = """
SELECT id FROM predictions AS p WHERE id IN (SELECT value FROM json_each(?))
  AND EXISTS (SELECT 1 FROM labels WHERE labels.key = p.key)
"""
HISTORY = "SELECT id, value, target, time, source, outcome FROM outcomes WHERE key = ? ORDER BY time, segment, position"
SHADOW = "SELECT model, output, status, reason FROM shadow WHERE prediction = ? ORDER BY model"


def labels_of(folder: Path, prediction_id: str) -> tuple[float, list[dict[str, Any]]] | None:
    """Since when (seconds since 1970) the prediction waits for a label, and all that it got, the one that counts last;
    None where the prediction isn't in the index yet. Only reads `<folder>/index.db`.

    Raises sqlite3.Error where there is no index or it can't be read.
    """
    with _reading(folder) as db:
        found = db.execute(PREDICTION, (prediction_id,)).fetchone()
        if found is None:
            return None
        key, since = found
        return since, [_label(*row) for row in db.execute(HISTORY, (key,))]


def labelled(folder: Path, prediction_ids: Sequence[str]) -> set[str]:
    """Those of the predictions that have a label. Raises sqlite3.Error where there is no index or it can't be read."""
    with _reading(folder) as db:
        return {name for (name,) in db.execute(LABELLED, (json.dumps(prediction_ids),))}


def shadow_of(folder: Path, prediction_id: str) -> list[dict[str, Any]]:
    """What each model of the shadow said of the prediction, or why it said nothing. Raises sqlite3.Error."""
    with _reading(folder) as db:
        found = db.execute(SHADOW, (prediction_id,)).fetchall()
    return [_shadow(*row) for row in found]


def is_current(folder: Path) -> bool:
    """Has the index in this folder taken in every label of the log beside it? Raises sqlite3.Error."""
    taken = positions(folder)
    return not any(log.tail(path, taken.get(f"labels/{path.stem}", 0)) for path in log.segments(folder))


def positions(folder: Path) -> dict[str, int]:
    """How much the index in this folder has taken in of each segment: `predictions/<name>`, … Raises sqlite3.Error."""
    with _reading(folder) as db:
        return dict(db.execute("SELECT name, position FROM segments"))


def _reading(folder: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"{(folder.absolute() / NAME).as_uri()}?mode=ro", uri=True))


def _shadow(model: str, output: Any, status: str, reason: str) -> dict[str, Any]:
    if status != OK:
        return {"model": model, "status": status, "reason": reason}
    return {"model": model, "status": status, "output": json.loads(output) if isinstance(output, str) else output}


def _label(name: str, value: str, target: str | None, time: float, source: str, outcome: str) -> dict[str, Any]:
    said = {"label": json.loads(value), "target": target and json.loads(target)}
    return {"label_id": name, **said, "time": time, "source": source, "outcome": outcome}
