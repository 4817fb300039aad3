"""Queries of the shadow's answers, to be joined to those of `penumbra.logs.queries.labels`: evidence for promotion."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.bottom_k import DAY_SECONDS
from penumbra.logs.schema import STATUS_OK, STATUS_SKIPPED

SHADOW_OUTPUT_SCHEMA = {
    "id": pl.String,
    "model": pl.String,
    "time": pl.Float64,
    "decision": pl.String,
    "status": pl.String,
    "reason": pl.String,
}
# The order of the joins is fixed: the shadow has no index by model, and a row for each prediction and each model. It
# begins with the first day of the model that answered: before that it would look at each row by itself.
FIRST_BESIDE_QUERY = """
SELECT min(p.event) FROM predictions AS p CROSS JOIN shadow AS s ON s.prediction = p.id AND s.model = :model
WHERE p.model = :live AND p.alone AND s.status <> :skipped
  AND p.event >= :day_seconds * (SELECT min(day) FROM days WHERE days.model = :live)
"""
PAIRED_OUTPUTS_QUERY = """
SELECT p.output, s.output FROM predictions AS p JOIN shadow AS s ON s.prediction = p.id AND s.model = ?
WHERE p.model = ? AND p.alone AND p.event >= ? AND p.event < ? AND s.status = ?
"""
SHADOW_BY_IDS_QUERY = """
SELECT prediction, model, time, decision, status, reason, output
FROM shadow WHERE model = ? AND prediction IN (SELECT value FROM json_each(?)) ORDER BY prediction
"""
DISAGREEMENTS_QUERY = """
SELECT p.id, max({difference}) FROM json_each(?) AS given JOIN predictions AS p ON p.id = given.key
  JOIN shadow AS s ON s.prediction = p.id
WHERE p.alone AND s.status = ? AND {difference} > 0 GROUP BY p.id
"""


def read_shadow_outputs(index: LogIndex, model: str, ids: Sequence[str]) -> pl.DataFrame:
    """Read the answers of a shadow model to some predictions.

    Args:
        index: The index.
        model: The model's version.
        ids: The predictions' ids.

    Returns:
        A row for each prediction that the model is done with: `id` (String), `model` (String), `time` (Float64),
        `decision`, `status` and `reason` (String) as in `ShadowRow`, and `output` (a number or a list of
        probabilities).
    """
    with index.open_for_reading() as db:
        rows = db.execute(SHADOW_BY_IDS_QUERY, (model, json.dumps(list(ids)))).fetchall()
    frame = pl.DataFrame([row[:-1] for row in rows], schema=SHADOW_OUTPUT_SCHEMA, orient="row", strict=False)
    return frame.with_columns(pl.Series("output", [_decode_output(row[-1]) for row in rows], strict=False))


def find_first_day_beside(index: LogIndex, model: str, live: str) -> dt.datetime | None:
    """Find the first day of which a shadow model has seen rows that another model answered alone.

    Args:
        index: The index.
        model: The shadow model's version.
        live: The version that answered.

    Returns:
        The day's beginning (UTC); None where the shadow model has seen none, or skipped all.
    """
    given = {"model": model, "live": live, "skipped": STATUS_SKIPPED, "day_seconds": DAY_SECONDS}
    with index.open_for_reading() as db:
        (event,) = db.execute(FIRST_BESIDE_QUERY, given).fetchone()
    if event is None:
        return None
    return dt.datetime.fromtimestamp(event // DAY_SECONDS * DAY_SECONDS, dt.UTC)


def pair_shadow_outputs(
    index: LogIndex, live: str, model: str, begin: dt.datetime, end: dt.datetime, at_once: int = 50_000
) -> Iterator[pl.DataFrame]:
    """Pair the live model's own answers with those of a shadow model.

    Args:
        index: The index.
        live: The live model's version.
        model: The shadow model's version.
        begin: The earliest time of a row (UTC).
        end: The time before which rows are.
        at_once: How many rows a frame has at most.

    Yields:
        Frames with the live model's `output` and what the shadow model `said`: Float64, or lists of them.
    """
    with index.open_for_reading() as db:
        found = db.execute(PAIRED_OUTPUTS_QUERY, (model, live, begin.timestamp(), end.timestamp(), STATUS_OK))
        while rows := found.fetchmany(at_once):
            output, said = (list(map(_decode_output, values)) for values in zip(*rows, strict=True))
            yield pl.DataFrame({"output": output, "said": said}, strict=False)


def measure_disagreements(index: LogIndex, decided: Mapping[str, bool | str | None]) -> dict[str, float]:
    """Measure how far the shadow's models are from the model's own answers.

    Args:
        index: The index.
        decided: By id of a prediction what the model decided, where chance has replaced that in the log; None where the
            log has it.

    Returns:
        By id of a prediction that a shadow model has answered otherwise: 1 where a decision differs; of numbers, the
        largest absolute difference of an output.
    """
    is_number = index.label_spec.task.kind == "regression"
    difference = "abs(s.output - p.output)" if is_number else "(s.decision <> coalesce(given.value, p.decision))"
    with index.open_for_reading() as db:
        found = db.execute(DISAGREEMENTS_QUERY.format(difference=difference), (json.dumps(dict(decided)), STATUS_OK))
        return dict(found)


def _decode_output(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
