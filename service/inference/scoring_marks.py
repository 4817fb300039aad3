"""Marks of what a worker is scoring, in files that outlive it: who replaces the worker learns which records ended it.

<state>/workers/<pid>      mapped into the worker's memory: its heartbeat, and the call on its event loop
<state>/workers/<pid>.<n>  one call in a thread of it, which scores a list
<state>/workers/<pid>.long the call on its event loop, where that is too long for the first one
<state>/scorers/           the same of processes that score tables, which end for other reasons, too: see `ProcessEnds`

A worker holds a lock on the first one until it ends, however it ends. A call is the version on one line, and each
record as one line of JSON.
"""

import asyncio
import contextlib
import itertools
import logging
import math
import mmap
import os
import signal
import struct
import time
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from penumbra.storage.locks import acquire_lock, hold_file_lock, is_file_locked

WORKERS_FOLDER, SCORERS_FOLDER, LOCK_NAME = "workers", "scorers", "lock"
HANG_SIGNAL = signal.SIGALRM  # ends a worker that hangs; the kernel's timer sends it too
HEARTBEAT_SECONDS = 0.1
HEARTBEAT, CALL_LENGTH = struct.Struct("<Qd"), struct.Struct("<Q")  # beats, seconds until the next; bytes of the call
CALL_OFFSET = HEARTBEAT.size + CALL_LENGTH.size
MARK_BYTES = 1 << 17  # of a worker's own file
MAX_CALL_BYTES = MARK_BYTES - CALL_OFFSET

CallMarker = Callable[[str, Sequence[bytes]], None]

logger = logging.getLogger("service.inference.scoring_marks")


class ScoringCall(NamedTuple):
    """A call that a worker had not finished when it ended: the model version, and each record as JSON."""

    version: str
    lines: tuple[bytes, ...]


class CallMarks:
    """Marks that are written nowhere: whoever ends a process that has these learns nothing of its records from it.

    Attributes:
        patience: Seconds that a call may take.
    """

    patience = math.inf

    def mark_call(self, version: str, lines: Sequence[bytes]) -> None:
        """Take note of the call on the event loop, in place of the one before.

        Args:
            version: The model version.
            lines: Each record as JSON.
        """

    def clear_call(self) -> None:
        """Take note that there is no call on the event loop."""

    @contextlib.contextmanager
    def open_thread_call(self) -> Iterator[CallMarker]:
        """Take note of calls in a thread for the block, one after the other.

        Yields:
            A function like `mark_call`, for these calls.
        """
        yield self.mark_call


class WorkerMarks(CallMarks):
    """The marks of a worker of the service, in files.

    Attributes:
        patience: Seconds that may pass until the next heartbeat.
        folder: The name of the folder of the files.
    """

    folder = WORKERS_FOLDER

    def __init__(self, state: Path, patience: float = math.inf, has_timer: bool = False) -> None:
        """Create the file; where that can't be, the marks are lost with the process.

        Args:
            state: The service's state folder.
            patience: The first value of the attribute.
            has_timer: Let the kernel end this process by SIGALRM where a heartbeat is overdue; otherwise that is left
                to the worker host.
        """
        self.patience = patience
        self._has_timer = has_timer
        self._path = state / self.folder / str(os.getpid())
        self._long_path, self._is_long = self._path.with_name(f"{self._path.name}.long"), False
        self._beats = 0
        self._numbers = itertools.count()
        self._began: dict[int, float] = {}
        self._lock, self._memory = _create_mark_file(self._path)

    def send_heartbeat(self) -> None:
        """Report that the event loop moves."""
        self._beats += 1
        HEARTBEAT.pack_into(self._memory, 0, self._beats, self.patience)
        if self._has_timer:
            signal.setitimer(signal.ITIMER_REAL, self.patience)

    async def run_heartbeat(self) -> None:
        """Send heartbeats until cancelled; end this process where a call in a thread outlasts the patience."""
        while True:
            self.send_heartbeat()
            if (seconds := self._measure_longest_call()) > self.patience:
                logger.error("a part of a list has been scored for %.0f s: this worker ends, another starts", seconds)
                os.kill(os.getpid(), HANG_SIGNAL)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    @contextlib.contextmanager
    def extend_patience(self, seconds: float) -> Iterator[None]:
        """Let so many `seconds` pass between two heartbeats for the block, as a context manager."""
        patience, self.patience = self.patience, seconds
        self.send_heartbeat()
        try:
            yield
        finally:
            self.patience = patience
            self.send_heartbeat()

    def mark_call(self, version: str, lines: Sequence[bytes]) -> None:
        """Mark the call on the event loop, in place of the one before.

        Args:
            version: The model version.
            lines: Each record as JSON.
        """
        content = b"\n".join((version.encode(), *lines))
        if self._is_long or len(content) > MAX_CALL_BYTES:
            self._mark_long_call(content)
            content = content[:MAX_CALL_BYTES]
        length = len(content)
        self._memory[CALL_OFFSET : CALL_OFFSET + length] = content
        CALL_LENGTH.pack_into(self._memory, HEARTBEAT.size, length)

    def clear_call(self) -> None:
        """Mark that there is no call on the event loop."""
        CALL_LENGTH.pack_into(self._memory, HEARTBEAT.size, 0)
        if self._is_long:
            self._mark_long_call(b"")

    @contextlib.contextmanager
    def open_thread_call(self) -> Iterator[CallMarker]:
        """Mark calls in a thread for the block, one after the other; each begins with its mark.

        Yields:
            A function like `mark_call`, for these calls.
        """
        number = next(self._numbers)
        path = self._path.with_name(f"{self._path.name}.{number}")

        def mark(version: str, lines: Sequence[bytes]) -> None:
            self._began[number] = time.monotonic()
            with contextlib.suppress(OSError):
                path.write_bytes(b"\n".join((version.encode(), *lines)))

        self._began[number] = time.monotonic()
        try:
            yield mark
        finally:
            del self._began[number]
            with contextlib.suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Remove the file, as this process ends in order."""
        if self._has_timer:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if self._lock is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _mark_long_call(self, content: bytes) -> None:
        """Write a call that is too long into a file of its own; remove that at the next one that isn't."""
        self._is_long = len(content) > MAX_CALL_BYTES
        with contextlib.suppress(OSError):
            if self._is_long:
                self._long_path.write_bytes(content)
            else:
                self._long_path.unlink(missing_ok=True)

    def _measure_longest_call(self) -> float:
        """Return for how many seconds the oldest call in a thread has been going on; 0 where there is none."""
        began = list(self._began.values())
        return time.monotonic() - min(began) if began else 0.0


def read_heartbeat(state: Path, pid: int) -> tuple[int, float]:
    """Read a worker's heartbeat.

    Args:
        state: The service's state folder.
        pid: The worker's process id.

    Returns:
        The number of heartbeats so far, and the seconds that may pass until the next; zeros where there is none yet,
        or none any more.
    """
    try:
        with (state / WORKERS_FOLDER / str(pid)).open("rb") as file:
            beats, patience = HEARTBEAT.unpack(file.read(HEARTBEAT.size))
    except (OSError, struct.error):
        return 0, 0.0
    return beats, patience


@contextlib.contextmanager
def take_unfinished_calls(folder: Path, pids: Container[int] | None = None) -> Iterator[dict[int, list[ScoringCall]]]:
    """Yield the unfinished calls of processes that have ended, and remove their marks after the block.

    Args:
        folder: The folder of the marks.
        pids: Of which processes; None for all.

    Yields:
        The calls by process id; empty for a process that ended between two calls.

    Raises:
        OSError: The folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold_file_lock(folder / LOCK_NAME):
        named = [path for path in folder.iterdir() if path.name.isdigit() and (pids is None or int(path.name) in pids)]
        dead = [path for path in named if not is_file_locked(path)]
        files = {path: sorted(folder.glob(f"{path.name}.*")) for path in dead}
        yield {int(path.name): _read_calls(path, others) for path, others in files.items()}
        for path, others in files.items():
            for file in (*others, path):
                file.unlink(missing_ok=True)


def _create_mark_file(path: Path) -> tuple[int | None, mmap.mmap]:
    """Create and lock a worker's file with all of its blocks, as a full disk would end whoever writes to a hole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold_file_lock(path.parent / LOCK_NAME):
            lock = acquire_lock(path)
            os.truncate(lock, 0)
            os.posix_fallocate(lock, 0, MARK_BYTES)
            return lock, mmap.mmap(lock, MARK_BYTES)
    except OSError:
        return None, mmap.mmap(-1, MARK_BYTES)


def _read_calls(path: Path, others: Sequence[Path]) -> list[ScoringCall]:
    content = path.read_bytes()
    length = CALL_LENGTH.unpack_from(content, HEARTBEAT.size)[0] if len(content) >= CALL_OFFSET else 0
    contents = [content[CALL_OFFSET : CALL_OFFSET + length], *(other.read_bytes() for other in others)]
    return [_parse_call(each) for each in contents if each]


def _parse_call(content: bytes) -> ScoringCall:
    version, *lines = content.split(b"\n")
    return ScoringCall(version.decode(errors="replace"), tuple(lines))
