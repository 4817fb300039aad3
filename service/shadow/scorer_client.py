"""The client of a scorer process (service/shadow/scorer.py): starts it, sends requests, limits its time, ends it."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from penumbra.core.settings import ShadowSettings
from penumbra.core.system.process_tree import describe_exit_code, kill_process_tree
from penumbra.logs.schema import STATUS_OK
from service.processes.workers.supervisor import start_process
from service.shadow.request_clock import RequestClock

SCORER_MODULE = f"{__package__}.scorer"
LOAD_TIMEOUT_SECONDS = 30.0
SCORER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class ScoreRequest(msgspec.Struct):
    """Asks for scores of the whole lines in the bytes [start, end) of a segment of the prediction log."""

    path: str
    start: int
    end: int


class ShadowResult(msgspec.Struct, array_like=True):
    """The model's result for one line: output and decision, or status and reason."""

    output: Any = None
    decision: Any = None
    status: str = STATUS_OK
    reason: str = ""


class LoadResult(msgspec.Struct):
    """Tells whether the model could be loaded: `refused` is the reason why not, or empty."""

    refused: str = ""


class ScorerTimeout(Exception):
    """The process took longer than allowed, and was ended."""


class ScorerDied(Exception):
    """The process ended; the message tells how."""


class ScorerClient:
    """One process with one model. It gets one request at a time; no method waits for its result."""

    def __init__(self, folder: Path, limits: ShadowSettings, signers: Sequence[str] = ()) -> None:
        """Start the process.

        Args:
            folder: The model's bundle.
            limits: The most time for a request (`timeout_seconds`; loading may take at least `LOAD_TIMEOUT_SECONDS`),
                the memory of the process (`memory_mb`), and how far it gives way to others (`niceness`).
            signers: Public keys, one of which must have signed the bundle, if any.
        """
        ours, theirs = socket.socketpair()
        arguments = [str(theirs.fileno()), str(folder), str(limits.memory_mb), *signers]
        self.refused: str | None = None  # None while it loads
        self.connection = Connection(ours.detach())
        self._process = start_process(
            [sys.executable, "-m", SCORER_MODULE, *arguments],
            os.environ | SCORER_ENVIRONMENT,
            pass_fds=[theirs.fileno()],
            niceness=limits.niceness,
            death_signal=signal.SIGKILL,
        )
        theirs.close()
        self._timeout_seconds = limits.timeout_seconds
        self._clock = RequestClock(self._process.pid, max(LOAD_TIMEOUT_SECONDS, limits.timeout_seconds))

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def send_request(self, request: ScoreRequest) -> None:
        """Send a scoring `request` without blocking; call `poll_results` for its results."""
        self._clock.restart(self._timeout_seconds)
        with suppress(OSError):  # the process ended: `poll_results` reports it
            self.connection.send_bytes(msgspec.msgpack.encode(request))

    def is_ready(self) -> bool:
        """Check whether the model is loaded, or refused: then `refused` is not None.

        Returns:
            False while the model is loading.

        Raises:
            ScorerTimeout: Loading took too long.
            ScorerDied: The process ended.
        """
        if self.refused is None and (content := self._receive()) is not None:
            self.refused = msgspec.msgpack.decode(content, type=LoadResult).refused
        return self.refused is not None

    def poll_results(self) -> Sequence[ShadowResult] | None:
        """Fetch the results of the request that was sent.

        Returns:
            A result for each line, or None while they are not complete.

        Raises:
            ScorerTimeout: The request took too long.
            ScorerDied: The process ended.
        """
        content = self._receive()
        return None if content is None else msgspec.msgpack.decode(content, type=list[ShadowResult])

    def close(self) -> None:
        """Kill the process with all that it started, and close the connection to it."""
        kill_process_tree(self._process)
        self.connection.close()

    def _receive(self) -> bytes | None:
        try:
            if self.connection.poll():
                return self.connection.recv_bytes()
        except (EOFError, OSError):
            code = kill_process_tree(self._process)
            raise ScorerDied(f"its process ended {'by' if code < 0 else 'with'} {describe_exit_code(code)}") from None
        self._check_time()
        return None

    def _check_time(self) -> None:
        if (taken := self._clock.measure_overdue_seconds()) is not None:
            self.close()
            raise ScorerTimeout(f"it took {taken:.1f} s, at most {self._clock.limit:g} s are allowed")
