"""MLflow's server as a cluster has it: its database is PostgreSQL, and clients reach the artifacts by themselves."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from penumbra.core.http_client import OPEN_WITHOUT_PROXY, find_free_port

MAX_START_SECONDS = 120.0


class MlflowServer:
    """A server at a free port of 127.0.0.1; it keeps its port and database where it is stopped and started again."""

    def __init__(self, folder: Path, database: str) -> None:
        """Choose a port; `start` runs the server in `folder` on a `database`."""
        self.folder, self.database, self.port = folder, database, find_free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The address, as `registry.tracking` has it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run the server and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        own = {"MLFLOW_BACKEND_STORE_URI": self.database, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "mlflow.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--workers", "1", "--no-serve-artifacts"],
                cwd=self.folder,
                env={**os.environ, **own, "MLFLOW_DISABLE_TELEMETRY": "true"},
                stdout=log,
                stderr=log,
            )
        limit = time.monotonic() + MAX_START_SECONDS
        while not self._is_ready():
            if time.monotonic() > limit or self._process.poll() is not None:
                pytest.fail((self.folder / "mlflow.log").read_text())
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the server: connections are refused."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            with OPEN_WITHOUT_PROXY(f"{self.address}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def launch_mlflow(database: str) -> Iterator[MlflowServer]:
    """Run a server of MLflow.

    Args:
        database: The address of its database, with MLflow's tables or empty.

    Yields:
        The server, which is stopped at the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = MlflowServer(Path(folder), database)
        server.start()
        try:
            yield server
        finally:
            server.stop()
