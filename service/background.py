"""What the processes beside the service share: when to stop, and how to wait."""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

LOWEST = 19


def until_told() -> Callable[[], bool]:
    """A function that says whether to go on: until the parent process ends, or SIGTERM or SIGINT comes."""
    parent, stopped = os.getppid(), []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return lambda: not stopped and os.getppid() == parent


def sleep(seconds: float, running: Callable[[], bool]) -> None:
    """Wait, but not on when it is time to stop."""
    end = time.monotonic() + seconds
    while running() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def at_lowest_priority() -> None:
    """Run only when nothing else of the session wants to. Who is only nice keeps a processor for milliseconds from
    whoever wakes up, who is idle gives it back at once (sched(7), SCHED_IDLE). To be called before there are
    threads."""
    os.nice(LOWEST)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def log_to_stderr(logger: logging.Logger) -> None:
    """This logger's messages, and only warnings of all others."""
    logging.basicConfig(format="%(asctime)s [%(levelname)s] %(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
