"""MLflow's server as a cluster has it: its database is PostgreSQL, and clients reach the artifacts by themselves."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from penumbra.core.system.http_client import find_free_port
from tests.helpers.servers.server_process import ServerProcess


class MlflowServer:
    """A server at a free port of 127.0.0.1; it keeps its port and database where it is stopped and started again."""

    def __init__(self, folder: Path, database: str) -> None:
        """Choose a port; `start` runs the server in `folder` on a `database`."""
        self.database, self.port = database, find_free_port()
        self._process = ServerProcess(folder / "mlflow.log", f"{self.address}/health")

    @property
    def address(self) -> str:
        """The address, as `registry.tracking` has it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run the server; it answers some seconds later."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        own = {"MLFLOW_BACKEND_STORE_URI": self.database, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        options = ["--workers", "1", "--no-serve-artifacts"]
        self._process.start([*command, *options], {**own, "MLFLOW_DISABLE_TELEMETRY": "true"})

    def wait_until_ready(self) -> None:
        """Wait until it answers."""
        self._process.wait_until_ready()

    def stop(self) -> None:
        """Stop the server: connections are refused."""
        self._process.stop()


@contextlib.contextmanager
def launch_mlflow(database: str) -> Iterator[MlflowServer]:
    """Run a server of MLflow for the block, which may not answer yet.

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
