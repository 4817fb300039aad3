"""What the service's processes share: when to stop, how to wait, scheduling priority, and log output."""

import ctypes
import logging
import os
import platform
import signal
import sys
import textwrap
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

IDLE_NICENESS = 19  # of the idle class
SLICE_NANOSECONDS = 100_000
SETATTR_SYSCALLS = {
    "x86_64": 314,
    "aarch64": 274,
}  # numbers of the system call sched_setattr, for which the C library has no function
CONTROL_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
CONTROL_ESCAPES |= {0x2028: "\\u2028", 0x2029: "\\u2029", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
MAX_MESSAGE_LENGTH, MAX_TRACEBACK_LENGTH = 4_000, 20_000  # characters; of longer ones the middle is left out
TRACEBACK_ESCAPES = {code: text for code, text in CONTROL_ESCAPES.items() if code != ord("\n")}


def make_running_check(hard: bool = False) -> Callable[[], bool]:
    """Return a function that tells whether to continue. Installs handlers of SIGTERM and SIGINT.

    Args:
        hard: Whether the signals end the process wherever it is: for one that may wait in a library's call for
            minutes, and whose changes are whole whenever it ends.

    Returns:
        A function that returns False once the parent process has ended, or one of the signals has arrived.

    Raises:
        SystemExit: Later, when one of the signals arrives; only where they end it `hard`.
    """
    parent, stopped = os.getppid(), []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        if hard:
            raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return lambda: not stopped and os.getppid() == parent


def sleep_while_running(seconds: float, running: Callable[[], bool]) -> None:
    """Sleep, but not once it is time to stop.

    Args:
        seconds: The most seconds to sleep.
        running: Returns False when it is time to stop; called five times a second.
    """
    end = time.monotonic() + seconds
    while running() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def lower_priority(niceness: int) -> None:
    """Let others have the processor before this process. Call it before there are threads.

    Under mere niceness a process keeps a processor for milliseconds after another one wakes up, but gets its share of a
    machine that is never idle. In the idle class, that of `IDLE_NICENESS`, it gives way at once, and may get nothing.

    Args:
        niceness: Above 0, up to `IDLE_NICENESS` to run only when no other process of the session wants to.

    Source:
        sched(7), SCHED_IDLE.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))
    if niceness == IDLE_NICENESS:
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


def request_short_slices() -> None:
    """Ask Linux for short time slices, in this thread and those that it starts.

    That gives no larger share of the processor, but gives it as soon as a thread wakes up, where other threads, among
    them those of the idle class in other sessions, would otherwise keep it for milliseconds. Kernels before 6.12 accept
    the request and change nothing.

    Source:
        The kernel's EEVDF scheduler: Documentation/scheduler/sched-eevdf.rst.
    """
    if (
        sys.platform != "linux"
        or os.sched_getscheduler(0) != os.SCHED_OTHER
        or platform.machine() not in SETATTR_SYSCALLS
    ):
        return
    attributes = _SchedAttributes(
        size=ctypes.sizeof(_SchedAttributes), nice=os.getpriority(os.PRIO_PROCESS, 0), runtime=SLICE_NANOSECONDS
    )
    ctypes.CDLL(None).syscall(SETATTR_SYSCALLS[platform.machine()], 0, ctypes.byref(attributes), 0)


def log_to_stderr(logger: logging.Logger) -> None:
    """Write this `logger`'s messages from INFO on to stderr, and only warnings of all others; all are escaped."""
    logging.basicConfig(format="%(asctime)s [%(levelname)s] %(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    escape_log_output()


class EscapeFilter(logging.Filter):
    """Escapes control characters in log records and bounds their length.

    So nothing that a client sent can forge a line of the log, or fill it. A traceback keeps its lines, each
    indented so that none looks like a record.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message = _cut_middle(record.getMessage(), MAX_MESSAGE_LENGTH)
        record.msg, record.args = message.translate(CONTROL_ESCAPES), ()
        if record.exc_info and not record.exc_text:
            text = _cut_middle("".join(traceback.format_exception(*record.exc_info)), MAX_TRACEBACK_LENGTH)
            text = text.translate(TRACEBACK_ESCAPES)
            record.exc_text = textwrap.indent(text.rstrip("\n"), "    ", lambda line: True)
        return True


def _cut_middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} … {len(text) - most:,} characters … {text[-(most // 2) :]}"


ESCAPE_FILTER = EscapeFilter()


def escape_log_output() -> None:
    """Add the filter to every handler that exists."""
    loggers = [logging.root, *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        handler.addFilter(ESCAPE_FILTER)


def enable_loggers() -> None:
    """Enable every logger: BentoML's configuration disables those that exist before it, as in a forked worker."""
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False
