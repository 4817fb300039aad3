"""The indexer process: joins labels to predictions as both arrive, and picks the rows that people look at."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.settings import Settings, load_settings
from penumbra.core.text.errors import describe_error
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.lag import INDEX_METRICS_FILE, measure_index_lags
from penumbra.storage.atomic import replace_file
from service.processes.deployment.decision_notices import start_notices
from service.processes.exposition import MetricSample, format_exposition
from service.processes.review_pass import ReviewPass, start_completion
from service.processes.workers.process_control import log_to_stderr, make_running_check, sleep_while_running

INDEX_POLL_SECONDS, MAX_INDEX_POLL_SECONDS = 1.0, 10.0  # between passes
INDEX_SHARE = 0.1  # of a processor that passes may take: the more lines a pass has, the less each costs
MAX_INDEX_WAIT_SECONDS = 15.0  # after failures
INDEX_METRIC_HELP = {
    "heartbeat_seconds": "When the indexer was last at work or waited for it, in seconds since 1970.",
    "lag_seconds": "For how long the oldest line of a log waits for the index.",
    "lag_rows": "How many lines of a log wait for the index, estimated from their bytes.",
    "failing": "1 while the index can't be brought up to date.",
}

logger = logging.getLogger("service.processes.indexer")


def run_indexer(
    index: LogIndex,
    running: Callable[[], bool],
    report: Callable[[bool], None] = lambda is_failing: None,
    after_pass: Callable[[], None] = lambda: None,
) -> None:
    """Bring the index up to date at intervals, and once more at the end; wait longer while that fails.

    Args:
        index: The index of predictions and labels.
        running: Returns False when it is time to stop.
        report: Called often, with whether the last pass failed.
        after_pass: Called after each pass that has brought the index up to date; it must not raise.
    """
    wait, last_message = INDEX_POLL_SECONDS, ""

    def report_and_check() -> bool:
        report(bool(last_message))
        return running()

    while True:
        last, began = not running(), time.process_time()
        try:
            index.catch_up(lambda: report(False))
            after_pass()
            wait, last_message = compute_index_wait(time.process_time() - began), ""
        except Exception as error:  # such as a full disk or a damaged file: labels wait in their log
            wait, message = min(wait * 2, MAX_INDEX_WAIT_SECONDS), describe_error(error)
            if message != last_message:
                logger.error("labels can't be joined to predictions, trying again: %s", message)
            last_message = message
        if last:
            return
        sleep_while_running(wait, report_and_check)


def compute_index_wait(seconds: float) -> float:
    """Compute how long to wait after a pass.

    Args:
        seconds: The processor time that the pass took.

    Returns:
        The seconds until the next pass, so that passes take `INDEX_SHARE` of a processor.
    """
    return min(max(INDEX_POLL_SECONDS, seconds / INDEX_SHARE - seconds), MAX_INDEX_POLL_SECONDS)


def make_index_reporter(settings: Settings, more: Callable[[], str] = str) -> Callable[[bool], None]:
    """Make a function that writes the index's metrics, at most once a second.

    Args:
        settings: The folders of the logs.
        more: Returns further metrics for the same file, in Prometheus' text format.

    Returns:
        A function that takes whether the last pass failed.
    """
    due = 0.0

    def report(is_failing: bool) -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        due = time.monotonic() + INDEX_POLL_SECONDS
        text = format_exposition("penumbra_index_", INDEX_METRIC_HELP, [*_list_index_samples(settings, is_failing)])
        with suppress(OSError):  # the disk is full, which the log of failures tells
            replace_file(settings.service.predictions / INDEX_METRICS_FILE, text + more())

    return report


def _list_index_samples(settings: Settings, is_failing: bool) -> Iterator[MetricSample]:
    yield "heartbeat_seconds", {}, time.time()
    yield "failing", {}, float(is_failing)
    for log, lag in measure_index_lags(settings).items():
        yield "lag_seconds", {"log": log}, lag.count_seconds()
        yield "lag_rows", {"log": log}, lag.rows


def main() -> None:
    """Run the indexer until the parent process ends or SIGTERM arrives."""
    log_to_stderr(logger)
    running, settings, problem = make_running_check(), load_settings(), load_problem(SERVED_PARTS)
    reviews = ReviewPass(settings, problem)
    start_notices(settings, running)
    start_completion(settings, reviews, running)
    with LogIndex.from_settings(settings, problem.schema).keep_open() as index:
        run_indexer(index, running, make_index_reporter(settings, lambda: reviews.metrics), reviews.run)


if __name__ == "__main__":
    main()
