"""The indexer process: joins labels to predictions as both arrive, at the lowest priority."""

import logging
from collections.abc import Callable

from penumbra.core.errors import describe_error
from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.logs.index import LogIndex
from service.processes.process_control import log_to_stderr, make_running_check, sleep_while_running

INDEX_POLL_SECONDS = 1.0  # a pass has a fixed cost, each line nearly none
MAX_INDEX_WAIT_SECONDS = 15.0

logger = logging.getLogger("service.processes.indexer")


def run_indexer(index: LogIndex, running: Callable[[], bool]) -> None:
    """Bring the index up to date at intervals, and once more at the end; wait longer while that fails.

    Args:
        index: The index of predictions and labels.
        running: Returns False when it is time to stop.
    """
    wait, last_message = INDEX_POLL_SECONDS, ""
    while True:
        last = not running()
        try:
            index.catch_up()
            wait, last_message = INDEX_POLL_SECONDS, ""
        except Exception as error:  # such as a full disk or a damaged file: labels wait in their log
            wait, message = min(wait * 2, MAX_INDEX_WAIT_SECONDS), describe_error(error)
            if message != last_message:
                logger.error("labels can't be joined to predictions, trying again: %s", message)
            last_message = message
        if last:
            return
        sleep_while_running(wait, running)


def main() -> None:
    """Run the indexer until the parent process ends or SIGTERM arrives."""
    log_to_stderr(logger)
    running = make_running_check()
    run_indexer(LogIndex.from_settings(load_settings(), load_problem(["schema"]).schema), running)


if __name__ == "__main__":
    main()
