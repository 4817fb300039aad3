"""Processes that score in place of each other: where a record ends one, or never returns, the next one goes on.

A process that scores is ended by a timer of the kernel where a part takes too long: also native code that holds
Python's lock ends so. A part that ended a process, by that or by a fault such as a segmentation fault, is scored by the
next one in calls of a few records, which are marked as those of the service's workers, and ended as they are. So the
record is found, and is blocked, as by the service, for each version that it ends a process with.
"""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from penumbra.core.system.process_tree import describe_exit_code, end_with_parent, list_lost_threads
from service.inference.scoring_marks import HANG_SIGNAL, SCORERS_FOLDER, CallMarker, WorkerMarks, take_unfinished_calls

PART_PATIENCE, CALL_PATIENCE = 20, 10  # of the service's hang_seconds: for a part, and for a call of a few records
SLOW_MULTIPLE = 10  # of the longest part so far: models and rules may just be slow
MAX_SILENT_ENDS = 3  # one after the other, of which nothing was learnt
MEMORY_ADVICE = (
    "was ended, as the kernel does where memory is short: what is done stays; go on with fewer --processes, or a "
    "smaller score.part_rows for tables to come"
)

logger = logging.getLogger("flows.steps.score")


class Attempt(NamedTuple):
    """One of the processes that score in place of each other.

    Attributes:
        may_end: Whether another one goes on where this one is ended.
        is_another: Whether a record has ended one before: parts that it left are scored in calls of a few records.
        is_apart: Whether it leaves tables of few parts, too, to processes that are replaced.
    """

    may_end: bool = False
    is_another: bool = False
    is_apart: bool = False


class PartTimer:
    """Ends this process where a part takes too long; parts that are slow let later ones take longer."""

    def __init__(self, hang_seconds: float) -> None:
        """Let a part take as long as follows from the service's `hang_seconds`, and from the longest part so far."""
        self._seconds = PART_PATIENCE * hang_seconds

    @contextlib.contextmanager
    def limit(self) -> Iterator[None]:
        """Limit the time of the block, as a context manager. Whoever sets the timer within it, sets the limit anew."""
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._seconds = max(self._seconds, SLOW_MULTIPLE * (time.monotonic() - began))


class CallTimer(WorkerMarks):
    """The marks of a process that scores a part in calls of a few records, and its end where one takes too long."""

    folder = SCORERS_FOLDER

    def __init__(self, state: Path, hang_seconds: float) -> None:
        """Mark calls in the service's `state` folder; `hang_seconds` are the service's."""
        super().__init__(state, CALL_PATIENCE * hang_seconds, has_timer=True)

    @contextlib.contextmanager
    def open_thread_call(self) -> Iterator[CallMarker]:
        """Mark calls for the block, one after the other, and limit each.

        Yields:
            A function like `mark_call`, for these calls.
        """
        with super().open_thread_call() as mark:

            def mark_and_limit(version: str, lines: Sequence[bytes]) -> None:
                mark(version, lines)
                self.send_heartbeat()

            yield mark_and_limit


class ProcessEnds:
    """What is learnt of processes that scored and have ended.

    Only those count that were ended by a fault, or by the timer, and only for the run that started them: whoever kills
    a run ends these, too, and what they leave accuses no record.
    """

    def __init__(self, state: Path) -> None:
        """Record what they were scoring in the service's `state` folder; what runs left that were killed is removed."""
        self._state, self._silent = state, 0
        with contextlib.suppress(OSError), take_unfinished_calls(state / SCORERS_FOLDER):
            pass

    def learn(self, codes: Mapping[int, int]) -> bool:
        """Record which records ended processes, as the service does, and log it.

        Args:
            codes: The exit codes by process id, negative for signals.

        Returns:
            Whether another process is to go on: one was ended by what it was scoring, and not for the third time
            without a hint at a record.

        Raises:
            OSError: The state folder can't be written.
        """
        from service.inference.blocked_records import FAULTS, HUNG, record_crash

        causes = {pid: HUNG if code == -HANG_SIGNAL else describe_exit_code(code) for pid, code in codes.items()}
        faults = {pid: cause for pid, cause in causes.items() if cause in FAULTS}
        with take_unfinished_calls(self._state / SCORERS_FOLDER, codes) as calls:
            ends = [record_crash(self._state, pid, cause, calls.get(pid, ())) for pid, cause in faults.items()]
        if not faults:
            return False
        found = list(filter(None, ends))
        self._silent = 0 if found else self._silent + 1
        reasons, named = found or ["its part is scored again in calls of a few records"], sorted({*faults.values()})
        logger.warning("a process that scores ended (%s), another goes on: %s", ", ".join(named), "; ".join(reasons))
        return self._silent < MAX_SILENT_ENDS


def replace_ended(state: Path) -> Attempt:
    """Go on in a fork of this process, and in another one where what it scores has ended that.

    To be called before anything is computed: a fork has none of polars' threads. Where there are such threads, and
    elsewhere than on Linux, this process itself goes on, and nobody replaces it.

    Args:
        state: The service's state folder.

    Returns:
        What the process is that goes on. The one that called waits for the others, and exits as the last one does.
    """
    if sys.platform != "linux" or list_lost_threads():
        return Attempt()
    sys.stdout.flush()
    sys.stderr.flush()
    parent, ends, is_another = os.getpid(), ProcessEnds(state), False
    while pid := os.fork():
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the fork ends by it, and says so
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code >= 0 or not ends.learn({pid: code}):
            _exit_alike(code)
        signal.signal(signal.SIGINT, handler)
        is_another = True
    end_with_parent(parent)
    return Attempt(may_end=True, is_another=is_another)


def _exit_alike(code: int) -> NoReturn:
    """Exit as another process did, without what is left to do at the end of this one."""
    if code == -signal.SIGKILL:
        logger.error("the process that scores %s", MEMORY_ADVICE)
    if code < 0:
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
