"""Label counts: on which days enough labels of a model's own answers have arrived, without reading the answers."""

import datetime as dt
import math
import sqlite3
from collections.abc import Sequence

from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.bottom_k import DAY_SECONDS
from penumbra.logs.queries.labels import HOUR_SECONDS
from penumbra.logs.queries.samples import to_day_timestamp

OWN_ANSWERS = "p.event >= :begin AND p.event < :end AND p.model = :model AND p.alone"
ANSWERS_QUERY = "SELECT rows FROM days WHERE day = :begin / :seconds AND model = :model"
MISSING_LABELS_QUERY = f"""
SELECT count(*) FROM (SELECT 1 FROM predictions AS p WHERE {OWN_ANSWERS}
  AND NOT EXISTS (SELECT 1 FROM standing AS s WHERE s.key = p.key) LIMIT :most)
"""
LABELS_QUERY = f"""
SELECT count(*), coalesce(sum(t.target NOT NULL), 0) FROM predictions AS p LEFT JOIN truth AS t ON t.key = p.key
WHERE {OWN_ANSWERS} AND (t.target NOT NULL OR t.key IS NULL)
"""
UNDUE_QUERY = f"""
SELECT EXISTS (SELECT 1 FROM predictions AS p WHERE {OWN_ANSWERS}
  AND max(p.event, CASE WHEN p.time <= :now THEN p.time ELSE p.event END) + :delay > :now)
"""


def find_labelled_days(index: LogIndex, model: str, days: Sequence[dt.date], coverage: float) -> list[dt.date]:
    """Find the days of which enough labels have arrived, be they due or not.

    A day is given up at the first missing label that is one too many, so that days without labels cost little.

    Args:
        index: The index.
        model: The model's version.
        days: The days (UTC) to look at.
        coverage: The share of the answers that can have a label of which one must be there, 0 to 1.

    Returns:
        Those of the days of which that is so, in their order.
    """
    with index.open_for_reading() as db:
        return [day for day in days if _has_labels(db, model, day, coverage)]


def has_undue_labels(
    index: LogIndex, model: str, begin: dt.date, end: dt.date, delay_hours: float, now: dt.datetime
) -> bool:
    """Say whether the label of any of a model's own answers isn't due.

    Args:
        index: The index.
        model: The model's version.
        begin: The first day (UTC) of the rows.
        end: The day before which they are.
        delay_hours: After how many hours a label is due: from the row's time on, or from the answer where that was
            later; an answer from after `now` is a replay, which counts from the row's time.
        now: The time (UTC) at which labels are due.

    Returns:
        Whether there is one.
    """
    given = {**_build_span(model, begin, end), "now": now.timestamp(), "delay": delay_hours * HOUR_SECONDS}
    with index.open_for_reading() as db:
        return bool(db.execute(UNDUE_QUERY, given).fetchone()[0])


def _has_labels(db: sqlite3.Connection, model: str, day: dt.date, coverage: float) -> bool:
    span = _build_span(model, day, day + dt.timedelta(days=1))
    answers = sum(rows for (rows,) in db.execute(ANSWERS_QUERY, {**span, "seconds": DAY_SECONDS}))
    too_many = answers - math.ceil(coverage * answers) + 1  # as if all of them could have a label
    if db.execute(MISSING_LABELS_QUERY, {**span, "most": too_many}).fetchone()[0] == too_many:
        return False
    rows, labels = db.execute(LABELS_QUERY, span).fetchone()
    return bool(labels >= coverage * rows)


def _build_span(model: str, begin: dt.date, end: dt.date) -> dict[str, float | str]:
    return {"model": model, "begin": to_day_timestamp(begin), "end": to_day_timestamp(end)}
