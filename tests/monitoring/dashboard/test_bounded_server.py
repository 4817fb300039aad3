"""Peers of the overview's server that are silent, slow or endless: over sockets."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from monitoring.dashboard import bounded_server
from monitoring.dashboard.bounded_server import BoundedHttpServer, BoundedRequestHandler

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Handler(BoundedRequestHandler):
    def do_GET(self) -> None:  # noqa: N802
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def port(monkeypatch: Any) -> Iterator[int]:
    for name, value in {"MAX_CONNECTIONS": 4, "SILENT_SECONDS": 0.5, "MOST_SECONDS": 1.0}.items():
        monkeypatch.setattr(bounded_server, name, value)
    with BoundedHttpServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def read_all(connection: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionError):
        return b"".join(iter(lambda: connection.recv(65536), b""))
    return b""


def ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(request)
        return read_all(connection)


@pytest.mark.parametrize("request_bytes", [b"", GET[:10], b"GET / HTTP/1.1\r\nHost"])
def test_a_silent_peer_is_closed(port: int, request_bytes: bytes) -> None:
    began = time.monotonic()
    assert ask(port, request_bytes) == b""
    assert time.monotonic() - began < 3


def test_a_slow_peer_is_closed(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for _ in range(100):
                connection.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("line", [b"x-padding: " + b"x" * 200 + b"\r\n", b"x" * 200])
def test_a_large_head_is_refused(port: int, line: bytes) -> None:
    assert b" 431 " in ask(port, b"GET / HTTP/1.1\r\n" + line * 82)


def test_many_silent_peers_give_way_to_one_that_asks(port: int) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(20)]
        assert b" 200 " in ask(port, GET)
        assert read_all(silent[0]) == b""
        assert threading.active_count() < 15
