"""A server of this machine in a process of its own, as tests start and stop them."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY

MAX_START_SECONDS = 120.0


class ServerProcess:
    """A process that answers at an address once it is ready; what it prints is in a file."""

    def __init__(self, log: Path, health: str) -> None:
        """`log` gets the output; `health` is the URL that answers 200 once the server is ready."""
        self.log, self.health = log, health
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], environ: Mapping[str, str] = {}) -> None:
        """Start it by a command, in the log's folder, with more environment variables than this process has."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.log.parent, env={**os.environ, **environ}, stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        """Wait until it answers; the test fails, with the end of what it printed, where it doesn't."""
        limit = time.monotonic() + MAX_START_SECONDS
        while not self._is_ready():
            if time.monotonic() > limit or self._process is None or self._process.poll() is not None:
                pytest.fail(self.log.read_text()[-4000:])
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop it: connections are refused."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def kill(self) -> None:
        """Kill it: it loses what it hasn't handed to the system, and connections are refused."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            with OPEN_WITHOUT_PROXY(self.health, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
