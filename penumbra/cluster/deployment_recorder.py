"""A stand-in for the servers that Metaflow talks to while it deploys a flow: a cluster's API, and S3 for its code."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class DeploymentRecorder(ThreadingHTTPServer):
    """A server of this machine, in which nothing exists yet, and that keeps what it is told to create."""

    def __init__(self) -> None:
        """Listen at a free port."""
        super().__init__(("127.0.0.1", 0), _RequestHandler)
        self.manifests: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        """The server's address, such as "http://127.0.0.1:40123"."""
        return f"http://127.0.0.1:{self.server_port}"


class _RequestHandler(BaseHTTPRequestHandler):
    server: DeploymentRecorder

    def do_GET(self) -> None:
        self._answer(404, b'{"message": "not found"}')

    def do_DELETE(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self._answer(404)

    def do_PUT(self) -> None:
        self._read_body()
        self._answer(200)

    def do_POST(self) -> None:
        body = self._read_body()
        self.server.manifests.append(json.loads(body))
        self._answer(201, body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def record_deployments() -> Iterator[DeploymentRecorder]:
    """Run such a server, as a context manager.

    Yields:
        The server; its `manifests` are what was created, in that order.
    """
    with DeploymentRecorder() as recorder:
        thread = threading.Thread(target=recorder.serve_forever, daemon=True)
        thread.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            thread.join()
