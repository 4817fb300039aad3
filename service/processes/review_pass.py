"""The review queue's part of the indexer process: it picks the rows that people look at, as they arrive, and completes
what was answered where the process that recorded it ended in between."""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator

from penumbra.core.histograms import DegradedSlice
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.errors import describe_error
from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.queue import ReviewQueue
from penumbra.reviews.selection.case_picker import CasePicker
from penumbra.reviews.selection.degraded_slices import read_degraded_slices
from service.processes.exposition import MetricSample, format_exposition
from service.processes.workers.process_control import sleep_while_running

MAX_RETRY_SECONDS = 60.0
REVIEW_METRIC_HELP = {
    "cases": "Rows that people are asked to look at, by what has become of them.",
    "picked_total": "Rows that were picked for people to look at.",
    "oldest_open_seconds": "For how long the oldest open case waits for an answer.",
    "failing": "1 while no rows can be picked for review, or answers can't be completed.",
}

logger = logging.getLogger("service.processes.indexer")


class ReviewPass:
    """Picks deferred rows at every pass, and others every `review.every_minutes`, and logs labels that are missing.

    Before others are picked the cases are closed whose outcome has arrived.

    A failure is logged and tried again.

    Attributes:
        metrics: The queue after the last pass, in Prometheus' text format.
    """

    def __init__(self, settings: Settings, problem: Problem) -> None:
        """Prepare to pick rows of the `problem`, with the `settings` of logs, index, bundles, monitor and reviews."""
        self.metrics = ""
        self._settings = settings
        self._picker, self._desk = CasePicker(settings, problem), ReviewDesk(settings, problem)
        self._messages: dict[str, str] = {}
        self._wait = dt.timedelta(minutes=settings.review.every_minutes).total_seconds()
        blocks = ReviewQueue.read(settings.review.folder).blocks
        since = (dt.datetime.now(dt.UTC) - blocks[-1].time).total_seconds() if blocks else 0.0
        self._due = time.monotonic() + self._wait - min(max(since, 0.0), self._wait)

    def run(self) -> None:
        """Pick what is due, log labels that are missing, and bring the metrics up to date; nothing is raised."""
        self._attempt("no rows can be picked for review", self._pick_due)
        self._picker.recover()
        if not self._settings.cluster.state:  # there it waits for a store: see `start_completion`
            self.complete()
        is_failing = any(self._messages.values())
        samples = [*_list_queue_samples(ReviewQueue.read(self._settings.review.folder)), ("failing", {}, is_failing)]
        self.metrics = format_exposition("penumbra_review_", REVIEW_METRIC_HELP, samples)

    def complete(self) -> None:
        """Log labels that are missing; nothing is raised."""
        self._attempt("answers can't be completed", self._desk.complete)

    def _attempt(self, consequence: str, step: Callable[[], object]) -> None:
        try:
            step()
            message = ""
        except Exception as error:  # such as a full disk: rows and answers wait in their logs
            message = describe_error(error)
            if message != self._messages.get(consequence):
                logger.error("%s, trying again: %s", consequence, message)
        self._messages[consequence] = message

    def _pick_due(self) -> None:
        self._picker.pick_deferred()
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + min(self._wait, MAX_RETRY_SECONDS)
            self._attempt("cases whose outcome has arrived stay open", self._picker.close_reported)
            self._picker.pick(slices=self._read_slices())
            self._due = time.monotonic() + self._wait

    def _read_slices(self) -> list[DegradedSlice]:
        try:
            return read_degraded_slices(self._settings.monitor.folder)
        except OSError as error:
            logger.warning("no row is picked for its slice: %s", error)
            return []


def start_completion(settings: Settings, reviews: ReviewPass, running: Callable[[], bool]) -> None:
    """Start a thread that logs labels that are missing, where machines share what people said, and it takes a store.

    Args:
        settings: The section [cluster] is read.
        reviews: What logs them.
        running: Returns False when it is time to stop.
    """

    def complete_at_intervals() -> None:
        while running():
            reviews.complete()
            sleep_while_running(settings.cluster.ship_minutes * 60, running)

    if settings.cluster.state:
        threading.Thread(target=complete_at_intervals, daemon=True).start()


def _list_queue_samples(queue: ReviewQueue) -> Iterator[MetricSample]:
    for status, count in queue.count_statuses().items():
        yield "cases", {"status": status}, count
    yield "picked_total", {}, len(queue.states)
    since = min((state.picked for state in queue.list_cases("open")), default=queue.now)
    yield "oldest_open_seconds", {}, max((queue.now - since).total_seconds(), 0.0)
