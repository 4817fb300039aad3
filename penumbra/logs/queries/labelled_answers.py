"""Answered rows that have a label by now: what a flywheel batch is made of."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from penumbra.core.predictions import is_of_another_task
from penumbra.core.task import Task
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.indexing.index_tables import TAKEN_BACK
from penumbra.logs.queries.samples import read_lines_by_id, to_day_timestamp
from penumbra.logs.schema import REVIEW_SOURCE, LoggedLabel, LoggedRecord

WAITS_SINCE = "max(p.event, p.time)"
LABELLED_ANSWERS_QUERY = f"""
WITH said AS (
  SELECT key, target, time, id FROM truth UNION ALL
  SELECT key, NULL, max(time), segment || '-' || printf('%x', position) FROM labels
  WHERE value = '{TAKEN_BACK}' AND NOT EXISTS (SELECT 1 FROM standing AS s WHERE s.key = labels.key)
  GROUP BY key
)
SELECT p.key, p.id, p.model, p.output, p.decision, {WAITS_SINCE}, t.target NOT NULL, t.id
FROM said AS t JOIN predictions AS p ON p.key = t.key
WHERE {WAITS_SINCE} < :end AND ({WAITS_SINCE} >= :begin OR t.time >= :begin)
ORDER BY p.time, p.id
"""
ANSWERED_ROWS_QUERY = f"SELECT count(DISTINCT key) FROM predictions AS p WHERE {WAITS_SINCE} >= ? AND {WAITS_SINCE} < ?"
PREVENTED_ROWS_QUERY = f"""
SELECT count(DISTINCT key) FROM predictions AS p WHERE {WAITS_SINCE} >= ? AND {WAITS_SINCE} < ?
  AND p.decision NOT IN (SELECT value FROM json_each(?))
  AND NOT EXISTS (SELECT 1 FROM truth AS t WHERE t.key = p.key AND t.target NOT NULL)
"""
LABELLED_ROWS_QUERY = """
SELECT count(DISTINCT p.key) FROM predictions AS p JOIN truth AS t ON t.key = p.key WHERE t.target NOT NULL
"""
FIRST_ANSWER_QUERY = f"SELECT min({WAITS_SINCE}) FROM predictions AS p"


@dataclass(frozen=True)
class LabelledAnswer:
    """An answered row with its label.

    Attributes:
        key: The text of the row's key.
        id: The id of the prediction that people labelled, or else of the row's last.
        model: The version that answered.
        output: As in `PredictionEntry`; None of one that was given while the task was another one.
        decision: As in `PredictionEntry`.
        since: Since when the label was waited for (seconds since 1970): the row's time, or the prediction's if later.
        has_target: Whether there was an outcome; a label may say that there was none, or take an earlier one back.
        label: The label's entry in the label log.
        answer: The prediction's record, and whether its decision was explored.
    """

    key: str
    id: str
    model: str
    output: Any
    decision: Any
    since: float
    has_target: bool
    label: LoggedLabel
    answer: LoggedRecord

    @property
    def record(self) -> dict[str, Any]:
        """The request's record, by column, in types of JSON."""
        record: dict[str, Any] = msgspec.json.decode(self.answer.record)
        return record

    @property
    def is_of_people(self) -> bool:
        """Whether people gave the label; it is an outcome that was reported otherwise."""
        return self.label.source == REVIEW_SOURCE

    @property
    def is_signed(self) -> bool:
        """Whether the people are named, where people gave the label; who takes it back needn't be."""
        return not (self.is_of_people and self.label.label) or bool(self.label.reviewers)


def read_labelled_answers(index: LogIndex, begin: dt.date | None, end: dt.date) -> list[LabelledAnswer]:
    """Read the answered rows whose label arrived, or was due, since a day.

    Args:
        index: The index.
        begin: The first day (UTC) of the rows (see `since`), or of the labels of earlier rows; None for all.
        end: The day (UTC) before which the rows are.

    Returns:
        Each row once, in the order of their times; those whose record is no longer in the logs are left out.
    """
    span = dict(zip(("begin", "end"), _to_span(begin, end), strict=True))
    with index.open_for_reading() as db:
        found = db.execute(LABELLED_ANSWERS_QUERY, span).fetchall()
    labels = _read_entries(index.path.parent, [row[7] for row in found], LoggedLabel)
    by_key = {row[0]: row for row in found if row[7] in labels}
    by_key |= {row[0]: row for row in found if row[7] in labels and row[1] == labels[row[7]].prediction}
    answers = read_answered_records(index, [row[1] for row in by_key.values()])
    decode = partial(_decode_output, index.label_spec.task)
    return [
        LabelledAnswer(
            key, name, model, decode(output), decision, since, bool(has_target), labels[label], answers[name]
        )
        for key, name, model, output, decision, since, has_target, label in sorted(by_key.values(), key=_get_order)
        if name in answers
    ]


def read_answered_records(index: LogIndex, ids: Sequence[str]) -> Mapping[str, LoggedRecord]:
    """Read what the prediction log has of predictions, beside what is in the index.

    Args:
        index: The index.
        ids: The predictions' ids.

    Returns:
        The records by id, without those that are no longer in the logs.
    """
    return _read_entries(index.predictions, ids, LoggedRecord)


def count_answered_rows(index: LogIndex, begin: dt.date | None, end: dt.date) -> int:
    """Count the different rows that were answered in some days.

    Args:
        index: The index.
        begin: The first day (UTC) of the rows; None for all.
        end: The day after the last.

    Returns:
        How many there are, each counted once however often it was answered.
    """
    with index.open_for_reading() as db:
        return int(db.execute(ANSWERED_ROWS_QUERY, _to_span(begin, end)).fetchone()[0])


def count_labelled_rows(index: LogIndex) -> int:
    """Return how many different rows that are in `index` were answered and have an outcome by now."""
    with index.open_for_reading() as db:
        return int(db.execute(LABELLED_ROWS_QUERY).fetchone()[0])


def count_prevented_rows(index: LogIndex, begin: dt.date | None, end: dt.date, observed: Sequence[bool | str]) -> int:
    """Count the rows that have no label because of what was decided.

    Args:
        index: The index.
        begin: The first day (UTC) of the rows; None for all.
        end: The day after the last.
        observed: The decisions under which an outcome can be seen.

    Returns:
        How many different rows were decided otherwise, and have no label.
    """
    with index.open_for_reading() as db:
        given = (*_to_span(begin, end), msgspec.json.encode([_to_sqlite(value) for value in observed]).decode())
        return int(db.execute(PREVENTED_ROWS_QUERY, given).fetchone()[0])


def find_first_answer_day(index: LogIndex) -> dt.date | None:
    """Return the day (UTC) since which the first row in `index` waits for its label; None without a prediction."""
    with index.open_for_reading() as db:
        first = db.execute(FIRST_ANSWER_QUERY).fetchone()[0]
    return None if first is None else dt.datetime.fromtimestamp(first, dt.UTC).date()


def _get_order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """By time, then by id."""
    return row[5], row[1]


def _to_span(begin: dt.date | None, end: dt.date) -> tuple[float, float]:
    return to_day_timestamp(begin) if begin else float("-inf"), to_day_timestamp(end)


def _to_sqlite(value: bool | str) -> int | str:
    return int(value) if isinstance(value, bool) else value


def _decode_output(task: Task, output: Any) -> Any:
    said = msgspec.json.decode(output) if isinstance(output, str) else output
    return None if is_of_another_task(task, said) else said


def _read_entries(folder: Path, ids: Sequence[str], kind: type[Any]) -> Mapping[str, Any]:
    decode = msgspec.json.Decoder(kind).decode
    return {name: decode(line) for name, line in read_lines_by_id(folder, sorted(set(ids)))}
