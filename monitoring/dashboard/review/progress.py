"""How far reviewers have come: what was done today, what is open, how wrong decisions are, and how far people agree."""

import datetime as dt
import sqlite3
import time
from collections import Counter
from typing import Any

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.logs.indexing.index import LogIndex
from penumbra.reviews.measures.error_rates import describe_mean_error
from penumbra.reviews.measures.summary import summarise_reviews
from penumbra.reviews.queue import ReviewQueue
from penumbra.storage.sealed import DamagedFile

DONE_KINDS = ("answer", "cannot_tell", "adjudicate")
RECENT = dt.timedelta(days=30)  # since when cases were picked that estimates are made of
REST = 9  # times as long as making estimates took they are kept


class ProgressReader:
    """Reads the progress of all reviewers. May be used by one thread at a time."""

    def __init__(self, settings: Settings, problem: Problem) -> None:
        """Read the review log and the index of labels that `settings` name."""
        self._folder = settings.review.folder
        self._index = LogIndex.from_settings(settings, problem.schema)
        self._facts: list[tuple[str, str]] = []
        self._due = 0.0  # seconds of the monotonic clock

    def describe_progress(self) -> dict[str, Any]:
        """Describe the progress of all reviewers.

        Returns:
            `today`, the number of cases done since midnight UTC by reviewer; `statuses`, the number of cases by status;
            `half_answered`, how many of the open ones wait for a second person; `facts`, pairs of a name and words: how
            wrong the decisions of all rows were that cases of the last 30 days were picked from, and how far people
            agree. The facts are made anew each time, unless that takes long.
        """
        now, queue = dt.datetime.now(dt.UTC), ReviewQueue.read(self._folder)
        done = Counter(
            action.reviewer
            for state in queue.states.values()
            for action in state.actions.values()
            if action.kind in DONE_KINDS and action.time.date() == now.date()
        )
        if (began := time.monotonic()) >= self._due:
            self._facts = self._describe_estimates(queue, now)
            self._due = began + REST * (time.monotonic() - began)
        half = len(queue.list_half_answered())
        return {"today": done, "statuses": queue.count_statuses(), "half_answered": half, "facts": self._facts}

    def _describe_estimates(self, queue: ReviewQueue, now: dt.datetime) -> list[tuple[str, str]]:
        if not queue.states:
            return []
        try:
            self._index.catch_up()
            summary = summarise_reviews(queue, self._index, now - RECENT)
        except (DamagedFile, sqlite3.Error) as error:
            return [("decisions", f"not known: {error}")]
        agreement = [("agreement", str(summary.agreement))] if summary.agreement.cases else []
        return [("decisions", describe_mean_error(summary.error, self._index.label_spec.task.kind)), *agreement]
