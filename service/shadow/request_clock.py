"""The time that a scorer process takes for a request: by the clock, less the time in which it got no processor.

At the lowest priority on a busy machine that wait is long, and no fault of the model's. It is the longest wait of one
thread, never a sum over threads, so it can't exceed the time by the clock, whatever the number of threads.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from penumbra.core.system.process_tree import read_process_stat

MAX_WAIT_FACTOR = 60  # so many times its limit a request may take by the clock, however long it waits for a processor
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ThreadTimes:
    """Seconds that a thread ran, and waited for a processor, since it began; and whether it wants one now."""

    is_runnable: bool = False
    ran: float = 0.0
    waited: float = 0.0


class RequestClock:
    """Measures one request to a process at a time."""

    def __init__(self, pid: int, limit: float) -> None:
        """Start the clock for the process `pid`, whose request may take `limit` seconds."""
        self._pid = pid
        self.restart(limit)

    def restart(self, limit: float) -> None:
        """Start anew, for a request that may take `limit` seconds."""
        self.limit, self._began = limit, time.monotonic()
        self._waited = 0.0  # the longest wait that was counted so far: a thread that ends takes its own along
        self._threads, self._processor_seconds = read_thread_times(self._pid), read_processor_seconds(self._pid)

    def measure_overdue_seconds(self) -> float | None:
        """Measure how long an overdue request has taken.

        Returns:
            The largest of: the time by the clock less the longest wait of a thread; the processor time of all threads
            by the number of processors; and the time by the clock by `MAX_WAIT_FACTOR`. None while that is within the
            limit.
        """
        elapsed = time.monotonic() - self._began
        if elapsed <= self.limit / 2:  # none of the three is larger
            return None
        ran = read_processor_seconds(self._pid) - self._processor_seconds
        taken = max(elapsed - self._find_longest_wait(elapsed), ran / _count_processors(), elapsed / MAX_WAIT_FACTOR)
        return taken if taken > self.limit else None

    def _find_longest_wait(self, elapsed: float) -> float:
        pairs = [(self._threads.get(name, ThreadTimes()), now) for name, now in read_thread_times(self._pid).items()]
        self._waited = max([self._waited, *(now.waited - before.waited for before, now in pairs)])
        # The kernel counts a wait when it is over: a thread that wants to run has waited whenever it didn't run.
        return max([self._waited, *(elapsed - (now.ran - before.ran) for before, now in pairs if now.is_runnable)])


def read_thread_times(pid: int) -> dict[str, ThreadTimes]:
    """Read the times of a process's threads.

    Args:
        pid: The process's id.

    Returns:
        The times by thread id; nothing where there is no /proc.
    """
    found = {}
    for folder in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError, ValueError):  # the thread has ended since
            ran, waited, _ = (folder / "schedstat").read_bytes().split()
            (state,) = read_process_stat(folder)[:1]
            found[folder.name] = ThreadTimes(state == b"R", int(ran) / 1e9, int(waited) / 1e9)
    return found


def read_processor_seconds(pid: int) -> float:
    """Read the processor time of a process, all its threads together, those that have ended included.

    Args:
        pid: The process's id.

    Returns:
        The seconds; 0 where there is no /proc.
    """
    fields = read_process_stat(Path(f"/proc/{pid}"))
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS if fields else 0.0


def _count_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
