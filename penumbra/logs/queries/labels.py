"""Label queries: which predictions have labels, after how long, and the outcome of every label.

A label's delay is counted from the row's time, or from the prediction where that was made later. It is due after the
settings' `labels.delay_hours`; a first label that comes after that is late.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from penumbra.core.task import Task
from penumbra.logs.append_log import encode_json
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.keys import KeyEncoder
from penumbra.logs.queries import samples
from penumbra.logs.queries.bottom_k import DAY_SECONDS
from penumbra.logs.queries.row_decoding import (
    SQLITE_DTYPES,
    decode_moment,
    decode_output,
    decode_output_columns,
    decode_rows,
    decode_target,
)
from penumbra.logs.schema import REVIEW_SOURCE

HOUR_SECONDS = 3600.0
COVERAGE_GROUPS = {"day": "date(event, 'unixepoch')", "model": "model"}
LABEL_JOIN_QUERY = """
SELECT p.id, p.model, p.time, p.event, p.output, p.decision, p.alone, t.target, t.source, t.probability,
  t.time AS arrived,
  t.first - max(p.event, p.time) AS delay, max(p.event, p.time) AS since
FROM predictions AS p LEFT JOIN truth AS t ON t.key = p.key
"""
IDS_CONDITION = "WHERE id IN (SELECT value FROM json_each(?))"
# Ordered by p.id itself, SQLite would read all rows in that order.
ANSWERS_BESIDE_QUERY = """
SELECT p.id, p.time, p.event, p.output, p.decision, t.target, t.source, t.time,
  s.output, s.decision <> p.decision, s.status, s.reason
FROM predictions AS p LEFT JOIN truth AS t ON t.key = p.key
  LEFT JOIN shadow AS s ON s.prediction = p.id AND s.model = ?
WHERE p.model = ? AND p.alone AND p.event >= ? ORDER BY +p.id
"""
ANSWERS_WITH_TARGETS_QUERY = """
SELECT p.id, p.time, p.event, p.output, t.target FROM predictions AS p LEFT JOIN truth AS t ON t.key = p.key
WHERE p.event >= ? AND p.event < ? AND p.model = ? AND p.alone AND (t.target NOT NULL OR t.key IS NULL) ORDER BY +p.id
"""
COVERAGE_QUERY = """
SELECT {group}, count(*), sum(target NOT NULL), sum(target NOT NULL AND source = :people),
  sum(arrived NOT NULL AND target IS NULL), sum(arrived IS NULL AND since > :mature),
  sum(arrived IS NULL AND since <= :mature), sum(coalesce(delay, 0) > :due)
FROM ({pairs}) GROUP BY 1 ORDER BY 1
"""
LABEL_OUTCOMES_QUERY = """
SELECT substr(source, 1, instr(source || ' ', ' ') - 1), outcome, count(*) FROM outcomes GROUP BY 1, 2 ORDER BY 1, 2
"""
ORPHANS_QUERY = """
SELECT count(*) FROM labels WHERE NOT EXISTS (SELECT 1 FROM predictions WHERE predictions.key = labels.key)
"""
OWN_ANSWERS_QUERY = "SELECT count(*), coalesce(sum(alone), 0), max(time) FROM predictions WHERE model = ?"
LABEL_DELAYS_QUERY = (
    "SELECT CAST(max(delay, 0) / 3600 AS INTEGER) + 1, count(*) FROM ({pairs}) WHERE delay NOT NULL GROUP BY 1"
)
LATEST_OUTPUTS_FIRST_QUERY = """
SELECT key, output FROM predictions WHERE key IN (SELECT value FROM json_each(?)) ORDER BY time DESC
"""
DAY_ANSWERS_QUERY = "SELECT id, output, decision FROM predictions WHERE event >= ? AND event < ?"


def compute_label_coverage(
    index: LogIndex, by: str, delay_hours: float, now: dt.datetime | None = None
) -> pl.DataFrame:
    """Count the predictions with and without labels.

    Args:
        index: The index.
        by: "day" (of the row's time, UTC) or "model".
        delay_hours: After how many hours a label is due.
        now: The time (UTC) at which labels are due; the clock's by default.

    Returns:
        A frame with `by` (String) and the columns (Int64) `predictions`, `labelled`, `by_people` (those of them whose
        label is a reviewer's answer, as no outcome has arrived), `no_outcome` (a label says that there was none),
        `waiting` (for a label that isn't due), `missing` (one that is due) and `late`; and `share` (Float64) of those
        with a label.
    """
    names = ["predictions", "labelled", "by_people", "no_outcome", "waiting", "missing", "late"]
    due, now = delay_hours * HOUR_SECONDS, now or dt.datetime.now(dt.UTC)
    with index.open_for_reading() as db:
        query = COVERAGE_QUERY.format(group=COVERAGE_GROUPS[by], pairs=LABEL_JOIN_QUERY)
        given = {"due": due, "mature": now.timestamp() - due, "people": REVIEW_SOURCE}
        rows = db.execute(query, given).fetchall()
    frame = pl.DataFrame(rows, schema={by: pl.String, **dict.fromkeys(names, pl.Int64)}, orient="row")
    return frame.with_columns(share=(pl.col("labelled") + pl.col("no_outcome")) / pl.col("predictions"))


def count_label_outcomes(index: LogIndex) -> pl.DataFrame:
    """Count the labels by source and outcome.

    Args:
        index: The index.

    Returns:
        A frame with `source` (String: "feedback", "review" or "batch"), `outcome` (String: "attached", "duplicate",
        "correction", "outranked", "taken back" or "orphan") and `labels` (Int64).
    """
    with index.open_for_reading() as db:
        rows = db.execute(LABEL_OUTCOMES_QUERY).fetchall()
    return pl.DataFrame(rows, schema={"source": pl.String, "outcome": pl.String, "labels": pl.Int64}, orient="row")


def count_orphans(index: LogIndex) -> int:
    """Return how many labels in `index` belong to no prediction."""
    with index.open_for_reading() as db:
        return int(db.execute(ORPHANS_QUERY).fetchone()[0])


def count_own_answers(index: LogIndex, model: str) -> tuple[int, int, dt.datetime | None]:
    """Count a model's answers.

    Args:
        index: The index.
        model: The model's version.

    Returns:
        How many there are, how many of them it gave alone (neither a rule nor another model had a part in them), and
        the time (UTC) of the latest; None where there is none.
    """
    with index.open_for_reading() as db:
        total, alone, last = db.execute(OWN_ANSWERS_QUERY, (model,)).fetchone()
    return total, alone, None if last is None else dt.datetime.fromtimestamp(last, dt.UTC)


def compute_delay_curve(index: LogIndex) -> pl.DataFrame:
    """Compute how many of the labelled predictions had their label within how many hours.

    Args:
        index: The index.

    Returns:
        A frame with `hours` (Int64), `labels` (Int64, cumulative) and `share` (Float64, cumulative).
    """
    with index.open_for_reading() as db:
        rows = db.execute(LABEL_DELAYS_QUERY.format(pairs=LABEL_JOIN_QUERY)).fetchall()
    counts = pl.DataFrame(rows, schema={"hours": pl.Int64, "labels": pl.Int64}, orient="row").sort("hours")
    return counts.with_columns(pl.col("labels").cum_sum()).with_columns(share=pl.col("labels") / pl.col("labels").max())


def join_labels(index: LogIndex, ids: Sequence[str] | None = None) -> pl.DataFrame:
    """Join the latest label to each prediction.

    Args:
        index: The index.
        ids: The predictions' ids; None for all.

    Returns:
        A row for each prediction: id, model, time, event (the row's time), output, decision, alone (neither a rule nor
        another model had a part in it), arrived and delay (hours) of its label, the label's source ("review" for
        one that people gave), the probability with which its row was picked for review (0 for other sources), and
        target; null without a label.
        Output and decision are Float64 and Boolean, Array(Float64, classes) and the Enum of classes, or both Float64
        (see `PredictionEntry`); null of an answer that was given while the task was another one.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    schema = _build_join_schema(index.label_spec.task)
    among, given = ("", ()) if ids is None else (IDS_CONDITION, (encode_json(list(ids)).decode(),))
    with index.open_for_reading() as db:
        rows = db.execute(f"SELECT {', '.join(schema)} FROM ({LABEL_JOIN_QUERY}) {among} ORDER BY id", given).fetchall()
    columns = (
        *(decode_moment(name) for name in ("time", "event", "arrived")),
        *decode_output_columns(index.label_spec.task),
        pl.col("delay") / HOUR_SECONDS,
        decode_target(index.label_spec.task),
    )
    return decode_rows(index, rows, schema, *columns)


def read_answers_beside(index: LogIndex, model: str, live: str, since: dt.datetime) -> pl.DataFrame:
    """Read what a model answered alone, with the latest label of each, beside what another one said in the shadow.

    Args:
        index: The index.
        model: The shadow model's version.
        live: The version that answered.
        since: The earliest time of a row (UTC).

    Returns:
        A row for each prediction: the columns id, time, event, output, decision, target, source and arrived of
        `join_labels`; and `shadow` (an output), `differs` (Boolean: whether the decisions do; null for numbers),
        `status` and `reason` (String) as in `ShadowRow`, all null where the shadow has no answer yet.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    types, task = _build_join_schema(index.label_spec.task), index.label_spec.task
    names = ("id", "time", "event", "output", "decision", "target", "source", "arrived")
    said = {"shadow": types["output"], "differs": pl.Boolean, "status": pl.String, "reason": pl.String}
    with index.open_for_reading() as db:
        rows = db.execute(ANSWERS_BESIDE_QUERY, (model, live, since.timestamp())).fetchall()
    times = map(decode_moment, ("time", "event", "arrived"))
    columns = *times, *decode_output_columns(task), decode_target(task), decode_output("shadow", task)
    frame = decode_rows(index, rows, {name: types[name] for name in names} | said, *columns)
    return frame.with_columns(differs=pl.lit(None, pl.Boolean)) if task.kind == "regression" else frame


def read_answers_with_targets(
    index: LogIndex, model: str, since: dt.datetime, until: dt.datetime, at_once: int = 50_000
) -> Iterator[pl.DataFrame]:
    """Read a model's own answers with their targets, without those that a label says had no outcome.

    Args:
        index: The index.
        model: The model's version.
        since: The earliest time of a row (UTC).
        until: The time before which rows are.
        at_once: How many rows a frame has at most.

    Yields:
        Frames with the columns id, time, event, output and target of `join_labels`; the target is null where there is
        no label yet.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    said = {"output": SQLITE_DTYPES[index.label_spec.task.kind][0], "target": pl.String}
    schema, task = {"id": pl.String, "time": pl.Float64, "event": pl.Float64, **said}, index.label_spec.task
    columns = decode_moment("time"), decode_moment("event"), decode_output_columns(task)[0], decode_target(task)
    with index.open_for_reading() as db:
        found = db.execute(ANSWERS_WITH_TARGETS_QUERY, (since.timestamp(), until.timestamp(), model))
        while rows := found.fetchmany(at_once):
            yield decode_rows(index, rows, schema, *columns)


def find_first_outputs(index: LogIndex, rows: pl.DataFrame) -> pl.Series:
    """Find the first output that was logged for each row.

    Args:
        index: The index.
        rows: A frame with the columns of the contract's key.

    Returns:
        A series of Float64 or Array(Float64, classes); null where there was no prediction for the row, or one of
        another task, and everywhere where the contract has no key to find it by.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    columns, encode_key = [*index.label_spec.key], KeyEncoder(index.label_spec.key).encode_values
    keys = [encode_key(key) for key in rows.select(columns).iter_rows()] if columns else [""] * rows.height
    with index.open_for_reading() as db:
        first = dict(db.execute(LATEST_OUTPUTS_FIRST_QUERY, (encode_json(keys).decode(),))) if columns else {}
    schema = {"output": SQLITE_DTYPES[index.label_spec.task.kind][0]}
    said, column = [(first.get(key),) for key in keys], decode_output_columns(index.label_spec.task)[0]
    return decode_rows(index, said, schema, column).to_series()


def read_day_answers(index: LogIndex, day: dt.date) -> pl.DataFrame:
    """Read the answers to a day's rows in the order of the log.

    Args:
        index: The index.
        day: The day of the rows' own time (UTC).

    Returns:
        A frame with the columns id, output and decision of `join_labels`.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    schema = {
        "id": pl.String,
        **dict(zip(("output", "decision"), SQLITE_DTYPES[index.label_spec.task.kind], strict=True)),
    }
    begin = samples.to_day_timestamp(day)
    with index.open_for_reading() as db:
        rows = db.execute(DAY_ANSWERS_QUERY, (begin, begin + DAY_SECONDS)).fetchall()
    segment, position = (pl.col("id").str.split("-").list.get(part) for part in (0, 1))
    frame = decode_rows(index, rows, schema, *decode_output_columns(index.label_spec.task))
    return frame.sort(segment, position.str.to_integer(base=16))


def count_unreadable_lines(index: LogIndex) -> int:
    """Return the number of lines of all logs that `index` couldn't read: damaged, or of another contract."""
    with index.open_for_reading() as db:
        return int(db.execute("SELECT coalesce(sum(unreadable), 0) FROM segments").fetchone()[0])


def _build_join_schema(task: Task) -> dict[str, Any]:
    output, decision = SQLITE_DTYPES[task.kind]
    moments = dict.fromkeys(("time", "event", "arrived", "delay"), pl.Float64)
    said = {"output": output, "decision": decision, "alone": pl.Boolean}
    given = {"source": pl.String, "probability": pl.Float64, "target": pl.String}
    return {"id": pl.String, "model": pl.String, **moments, **said, **given}
