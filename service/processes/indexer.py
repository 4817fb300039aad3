"""The indexer, a process of its own: joins labels to predictions as both arrive, at the lowest priority."""

import logging
from collections.abc import Callable

from penumbra.core.settings import load_settings
from penumbra.logs.index import LogIndex
from problem import schema
from service.processes.process_control import log_to_stderr, make_running_check, sleep_while_running

INDEX_POLL_SECONDS = 1.0  # a pass has its price, a line as good as none
MAX_INDEX_WAIT_SECONDS = 15.0

logger = logging.getLogger("service.processes.indexer")


def run_indexer(index: LogIndex, running: Callable[[], bool]) -> None:
    """Bring the index up to date again and again, and once more at the end; wait longer while that fails."""
    wait, said = INDEX_POLL_SECONDS, ""
    while True:
        last = not running()
        try:
            index.catch_up()
            wait, said = INDEX_POLL_SECONDS, ""
        except Exception as error:  # a full disk, a damaged file: labels wait in their log
            wait, say = min(wait * 2, MAX_INDEX_WAIT_SECONDS), f"{type(error).__name__}: {error}"
            if say != said:
                logger.error("labels can't be joined to predictions, trying again: %s", say)
            said = say
        if last:
            return
        sleep_while_running(wait, running)


def main() -> None:
    """Run until the parent process ends or SIGTERM comes."""
    log_to_stderr(logger)
    running = make_running_check()
    run_indexer(LogIndex.from_settings(load_settings(), schema), running)


if __name__ == "__main__":
    main()
