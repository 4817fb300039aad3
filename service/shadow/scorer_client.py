"""The shadow's end of a process that scores (service/shadow/scorer.py): starts it, asks it, watches its time, ends it."""

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from penumbra.logs.schema import STATUS_OK
from service.processes.supervisor import start_process

LOAD_TIMEOUT_SECONDS = 30.0
SCORER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class ScoreRequest(msgspec.Struct):
    """Score the whole lines in [start, end) of a segment of the prediction log."""

    path: str
    start: int
    end: int


class ShadowResult(msgspec.Struct, array_like=True):
    """What the model says of one line: output and decision, or status and reason."""

    output: Any = None
    decision: Any = None
    status: str = STATUS_OK
    reason: str = ""


class LoadResult(msgspec.Struct):
    """Says whether the model can be used: `refused` is why not, or empty."""

    refused: str = ""


class ScorerTimeout(Exception):
    """The process took more time than it may, and was ended."""


class ScorerDied(Exception):
    """The process is gone; says how it ended."""


class ScorerClient:
    """One process with one model. It is asked one thing at a time, and nobody ever waits for it."""

    def __init__(self, folder: Path, seconds: float, megabytes: float) -> None:
        """`folder` is the model's bundle."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "service.shadow.scorer", str(theirs.fileno()), str(folder), str(megabytes)]
        self.refused: str | None = None  # None while it loads
        self.connection = Connection(ours.detach())
        self._process = start_process(
            command, os.environ | SCORER_ENVIRONMENT, pass_fds=[theirs.fileno()], background=True
        )
        theirs.close()
        self._seconds = seconds
        self._since, self._limit = self._measure_own_seconds(), max(LOAD_TIMEOUT_SECONDS, seconds)

    def send_request(self, request: ScoreRequest) -> None:
        """To be followed by `poll_results`, again and again, until it has one."""
        self._since, self._limit = self._measure_own_seconds(), self._seconds
        with suppress(OSError):  # it died: `poll_results` says so
            self.connection.send_bytes(msgspec.msgpack.encode(request))

    def is_ready(self) -> bool:
        """Is the model loaded, or refused? Raises Overdue and Died."""
        if self.refused is None and (content := self._received()) is not None:
            self.refused = msgspec.msgpack.decode(content, type=LoadResult).refused
        return self.refused is not None

    def poll_results(self) -> Sequence[ShadowResult] | None:
        """What it says of each line; None where it isn't done. Raises Overdue and Died."""
        content = self._received()
        return None if content is None else msgspec.msgpack.decode(content, type=list[ShadowResult])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def _received(self) -> bytes | None:
        try:
            if self.connection.poll():
                return self.connection.recv_bytes()
        except (EOFError, OSError):
            self._process.kill()
            raise ScorerDied(_describe_exit(self._process.wait())) from None
        self._check_time()
        return None

    def _check_time(self) -> None:
        if (taken := self._measure_own_seconds() - self._since) > self._limit:
            self.close()
            raise ScorerTimeout(f"it took {taken:.1f} s, at most {self._limit:g} s are allowed")

    def _measure_own_seconds(self) -> float:
        """By the clock, but without the time that its threads waited for a processor: at the lowest priority and on a
        busy machine that is long, and no fault of the model's."""
        waited = 0
        for path in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with suppress(OSError, ValueError):
                waited += int(path.read_text().split()[1])
        return time.monotonic() - waited / 1e9


def _describe_exit(code: int) -> str:
    return f"its process ended by {signal.Signals(-code).name}" if code < 0 else f"its process ended with code {code}"
