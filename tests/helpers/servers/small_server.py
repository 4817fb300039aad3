"""A small HTTP server in this process, which stands for one that belongs to somebody else."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import TypeVar

STOP_POLL_SECONDS = 0.01


class SmallServer(ThreadingHTTPServer):
    """Answers every GET and POST by `respond`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)

    def respond(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        raise NotImplementedError


class MessageReceiver(SmallServer):
    """Keeps the messages that it is sent, as a webhook does."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[dict[str, str]] = []

    def respond(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        self.received.append(json.loads(body))
        return 200, b""


class Handler(BaseHTTPRequestHandler):
    server: SmallServer

    def do_POST(self) -> None:
        status, body = self.server.respond(self.headers, self.rfile.read(int(self.headers["content-length"] or 0)))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *words: object) -> None:
        pass


Server = TypeVar("Server", bound=SmallServer)


@contextmanager
def run_small_server(server: Server) -> Iterator[Server]:
    """The server, while it answers."""
    with server, serve_in_thread(server):
        yield server


@contextmanager
def serve_in_thread(server: BaseServer) -> Iterator[None]:
    """Let a server answer during the block; without a word it would look twice a second whether it is to stop."""
    threading.Thread(target=server.serve_forever, args=(STOP_POLL_SECONDS,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
