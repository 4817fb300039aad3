"""Servers of S3 for tests: moto in this process for quick ones, SeaweedFS for what only a real server can show."""

import contextlib
import os
import secrets
import socket
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from penumbra.core.system.http_client import find_free_port
from tests.helpers.servers.server_process import ServerProcess
from tests.helpers.servers.small_server import STOP_POLL_SECONDS

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-a-store",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class MotoServer:
    """moto's S3 in this process, which counts requests; it keeps its objects where it is stopped and started again.

    Attributes:
        requests: The method and path of each request, in the order in which they came.
    """

    def __init__(self) -> None:
        """Choose a port; `start` begins to serve."""
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self.port = find_free_port()
        self.requests: list[str] = []
        self._application = DomainDispatcherApplication(create_backend_app)
        self._writing = threading.Lock()
        self._server: BaseWSGIServer | None = None

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables by which the clients of S3 use this server."""
        return list_store_variables(self.port)

    def start(self) -> None:
        """Serve in a thread, without a line on stderr for each request."""
        from werkzeug.serving import WSGIRequestHandler, make_server

        quiet = type("QuietHandler", (WSGIRequestHandler,), {"log": lambda *_: None})
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True, request_handler=quiet)
        threading.Thread(target=self._server.serve_forever, args=(STOP_POLL_SECONDS,), daemon=True).start()

    def stop(self) -> None:
        """Stop serving: connections are refused."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        # moto looks whether an object is there and then writes it; S3 does both at once.
        with self._writing if environ["REQUEST_METHOD"] == "PUT" else contextlib.nullcontext():
            return self._application(environ, start_response)  # type: ignore[no-any-return]


class SeaweedServer:
    """SeaweedFS with its S3 gateway in a folder; it keeps its objects where it is stopped and started again."""

    def __init__(self, folder: Path) -> None:
        """Choose ports; `start` runs the server in `folder`."""
        self.folder = folder
        flags = [f"{name}.port{kind}" for name in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
        with contextlib.ExitStack() as held:  # all at once, or one might be found twice
            taken = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in flags]
            self.ports = {flag: int(each.getsockname()[1]) for flag, each in zip(flags, taken, strict=True)}
        health = f"http://127.0.0.1:{self.ports['s3.port']}/healthz"
        self._process = ServerProcess(folder / "weed.log", health)

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables by which the clients of S3 use this server."""
        return list_store_variables(self.ports["s3.port"])

    def start(self) -> None:
        """Run the server and wait until it takes objects."""
        ports = [f"-{flag}={port}" for flag, port in self.ports.items()]
        command = [os.path.join(sysconfig.get_path("scripts"), "weed"), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        folder = [f"-dir={self.folder}", f"-filer.localSocket={self.folder}/filer.sock", "-volume.max=300"]
        alone = ["-master.electionTimeout=1s"]  # it waits so long for masters that there aren't
        self._process.start(
            [*command, "-filer", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", *ports, *folder, *alone]
        )
        self._process.wait_until_ready()

    def stop(self) -> None:
        """Kill the server: to end by itself takes it 25 s."""
        self._process.kill()


def list_store_variables(port: int) -> dict[str, str]:
    """Return the environment variables by which the clients of S3 use a server at a port of this machine."""
    address = f"http://127.0.0.1:{port}"
    endpoints = ("AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL", "METAFLOW_S3_ENDPOINT_URL")
    return CREDENTIALS | dict.fromkeys(endpoints, address)


def make_bucket(server: MotoServer | SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Create a bucket of a random name, and make this process use its server for the test.

    Args:
        server: A server that was started.
        monkeypatch: The test's.

    Returns:
        The bucket's address, such as "s3://b1c2".
    """
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    files = fsspec.get_filesystem_class("s3")
    files.clear_instance_cache()  # those of other tests have the addresses of other servers
    bucket = f"b{secrets.token_hex(6)}"
    files(skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}"


@contextlib.contextmanager
def launch_moto() -> Iterator[MotoServer]:
    """Serve moto's S3 for the block.

    Yields:
        The server.
    """
    server = MotoServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def launch_seaweed() -> Iterator[SeaweedServer]:
    """Run SeaweedFS for the block, in a folder of its own that is deleted at the end.

    Yields:
        The server.
    """
    with tempfile.TemporaryDirectory(prefix="penumbra-seaweed-") as folder:
        server = SeaweedServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
