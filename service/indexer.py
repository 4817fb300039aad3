"""The indexer, a process of its own: joins labels to predictions as both arrive, at the lowest priority."""

import logging
from collections.abc import Callable

from problem import schema
from service.background import log_to_stderr, sleep, until_told
from settings import load
from stores.index import Index

POLL_SECONDS = 1.0  # a pass has its price, a line as good as none
LONGEST_WAIT_SECONDS = 15.0

logger = logging.getLogger("service.indexer")


def follow(index: Index, running: Callable[[], bool]) -> None:
    """Bring the index up to date again and again, and once more at the end; wait longer while that fails."""
    wait, said = POLL_SECONDS, ""
    while True:
        last = not running()
        try:
            index.catch_up()
            wait, said = POLL_SECONDS, ""
        except Exception as error:  # a full disk, a damaged file: labels wait in their log
            wait, say = min(wait * 2, LONGEST_WAIT_SECONDS), f"{type(error).__name__}: {error}"
            if say != said:
                logger.error("labels can't be joined to predictions, trying again: %s", say)
            said = say
        if last:
            return
        sleep(wait, running)


def main() -> None:
    """Run until the parent process ends or SIGTERM comes."""
    log_to_stderr(logger)
    running = until_told()
    follow(Index.of(load(), schema), running)


if __name__ == "__main__":
    main()
