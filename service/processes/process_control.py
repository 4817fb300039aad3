"""What the processes of the service share: when to stop, how to wait, and who gets the processor first."""

import ctypes
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

LOWEST_NICENESS = 19
SETATTR_SYSCALLS = {
    "x86_64": 314,
    "aarch64": 274,
}  # the system call's number, as the C library has no function for it yet


def make_running_check() -> Callable[[], bool]:
    """A function that says whether to go on: until the parent process ends, or SIGTERM or SIGINT comes."""
    parent, stopped = os.getppid(), []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return lambda: not stopped and os.getppid() == parent


def sleep_while_running(seconds: float, running: Callable[[], bool]) -> None:
    """Wait, but not on when it is time to stop."""
    end = time.monotonic() + seconds
    while running() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def set_lowest_priority() -> None:
    """Run only when nothing else of the session wants to. Who is only nice keeps a processor for milliseconds from
    whoever wakes up, who is idle gives it back at once (sched(7), SCHED_IDLE). To be called before there are
    threads."""
    os.nice(LOWEST_NICENESS)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class _SchedAttributes(ctypes.Structure):
    """`struct sched_attr` in its first version (sched_setattr(2))."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def request_short_slices(nanoseconds: int = 100_000) -> None:
    """Ask for the processor in slices of so much from now on, in this thread and those that it starts: no larger share
    of it, but at once when woken, where others, the idle class of other sessions included, would else keep it for
    milliseconds (Linux' EEVDF scheduler, from 6.12 on; Documentation/scheduler/sched-eevdf.rst). Older kernels take it
    and change nothing."""
    if (
        sys.platform != "linux"
        or os.sched_getscheduler(0) != os.SCHED_OTHER
        or platform.machine() not in SETATTR_SYSCALLS
    ):
        return
    wanted = _SchedAttributes(
        size=ctypes.sizeof(_SchedAttributes), nice=os.getpriority(os.PRIO_PROCESS, 0), runtime=nanoseconds
    )
    ctypes.CDLL(None).syscall(SETATTR_SYSCALLS[platform.machine()], 0, ctypes.byref(wanted), 0)


def log_to_stderr(logger: logging.Logger) -> None:
    """This logger's messages, and only warnings of all others."""
    logging.basicConfig(format="%(asctime)s [%(levelname)s] %(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
