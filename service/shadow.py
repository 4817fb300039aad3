"""The shadow, a process of its own: lets the candidate and the previous model answer what the live one has answered.

It reads the prediction log, at the lowest priority, and writes the shadow log (stores/shadow.py). Each model runs in a
process of its own (service/scoring.py): whatever it does, it harms neither the other model nor anything else.
"""

import logging
import time
from collections.abc import Callable
from multiprocessing.connection import wait

from service import vitals
from service.background import at_lowest_priority, log_to_stderr, sleep, until_told
from service.follower import Follower
from settings import Settings, load
from stores.shadow import ROLES, Busy, ShadowLog

PAUSE = 0.2  # seconds between looks at the log while there is nothing to do
TEND_SECONDS = 1.0
RETRY_SECONDS = 1.0

logger = logging.getLogger("service.shadow")


def follow(settings: Settings, log: ShadowLog, running: Callable[[], bool]) -> None:
    """Score until told to stop. Raises OSError where the shadow log can't be written."""
    followers = [Follower(role, settings, log) for role in ROLES]
    due = 0.0
    try:
        while running():
            busy = sum(follower.step() for follower in followers) > 0
            if time.monotonic() >= due:
                log.tend()
                vitals.write(settings, log.state, followers)
                due = time.monotonic() + TEND_SECONDS
            if not busy:
                wait([each.runner.connection for each in followers if each.runner and each.waits], timeout=PAUSE)
    finally:
        for follower in followers:
            follower.close()


def main() -> None:
    """Run until the parent process ends or SIGTERM comes; begin anew where the shadow log can't be written."""
    log_to_stderr(logger)
    running = until_told()
    at_lowest_priority()
    settings, said = load(), ""
    while running():
        try:
            log = ShadowLog(settings.service.shadow, settings.service.predictions, settings.log.segment_mb)
        except (Busy, OSError) as error:
            say = f"the shadow log can't be opened, trying again: {error}"
        else:
            say = _follow(settings, log, running)
        if say and say != said:
            logger.error(say)
        said = say
        sleep(RETRY_SECONDS, running)


def _follow(settings: Settings, log: ShadowLog, running: Callable[[], bool]) -> str:
    try:
        follow(settings, log, running)
    except OSError as error:
        return f"the shadow log can't be written, trying again: {error}"
    finally:
        log.close()
    return ""


if __name__ == "__main__":
    main()
