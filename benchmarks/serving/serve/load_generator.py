"""Load generators that cost little CPU: one thread, raw sockets, one request in flight on each connection."""

import contextlib
import os
import selectors
import socket
import statistics
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

MAX_LOAD_SECONDS = 30.0  # seconds after which a steady load is given up


@dataclass(frozen=True)
class LoadMeasurement:
    """Requests a second, and latency percentiles in milliseconds."""

    per_second: float
    p50: float
    p99: float


@dataclass
class LoadConnection:
    sock: socket.socket
    sent: float = 0.0
    received: bytes = b""


def encode_post(path: str, body: bytes) -> bytes:
    """Encode an HTTP/1.1 POST request of JSON `body` to `path`; returns the bytes to send."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def run_closed_loop(port: int, request: bytes, connections: int, seconds: float) -> LoadMeasurement:
    """Closed loop: each connection sends `request` again as soon as it is answered. One that the server ends with an
    answer (`Connection: close`) is replaced.

    Raises RuntimeError at the first answer that isn't a 200.
    """
    latencies: list[float] = []
    with _open_connections(port, connections) as (selector, idle):
        start = time.perf_counter()
        for connection in idle:
            _send_request(connection, request, time.perf_counter())
        while time.perf_counter() - start < seconds:
            for key, _ in selector.select(1):
                if _receive_answer(key.data):
                    now = time.perf_counter()
                    latencies.append(now - key.data.sent)
                    _send_request(key.data, request, now)
        return _summarize(latencies, time.perf_counter() - start)


def run_open_loop(
    port: int, request: bytes, per_second: float, seconds: float, connections: int = 32
) -> LoadMeasurement:
    """Open loop: requests are due by a fixed schedule, however long the answers take. Latency counts from when a
    request was due, so one that waits for a free connection has waited. Connections take turns, as servers close those
    that are idle for seconds. Never sleeps: it takes a core for itself.

    Raises RuntimeError at the first answer that isn't a 200, and where the load isn't answered at all.
    """
    latencies: list[float] = []
    total, waiting = round(per_second * seconds), deque[float]()
    with _open_connections(port, connections) as (selector, idle):
        start, due = time.perf_counter(), 0
        while len(latencies) < total:
            now = time.perf_counter()
            while due < total and start + due / per_second <= now:
                waiting.append(start + due / per_second)
                due += 1
            while waiting and idle:
                _send_request(idle.popleft(), request, waiting.popleft())
            for key, _ in selector.select(0):
                if _receive_answer(key.data):
                    latencies.append(time.perf_counter() - key.data.sent)
                    idle.append(key.data)
            if now - start > MAX_LOAD_SECONDS:
                raise RuntimeError(f"{len(latencies)} of {total} requests were answered in {MAX_LOAD_SECONDS:g} s")
        return _summarize(latencies, time.perf_counter() - start)


@contextlib.contextmanager
def _open_connections(port: int, connections: int) -> Iterator[tuple[selectors.BaseSelector, deque[LoadConnection]]]:
    selector = selectors.PollSelector()  # which goes by file descriptors, that of a replaced connection stays
    opened = [LoadConnection(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
    for connection in opened:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection.sock, selectors.EVENT_READ, connection)
    try:
        yield selector, deque(opened)
    finally:
        for connection in opened:
            connection.sock.close()


def _send_request(connection: LoadConnection, request: bytes, counted_from: float) -> None:
    connection.received = b""
    connection.sent = counted_from
    connection.sock.sendall(request)


def _receive_answer(connection: LoadConnection) -> bool:
    data = connection.sock.recv(1 << 20)
    if not data:
        raise RuntimeError("the server closed the connection")
    connection.received += data
    head, _, body = connection.received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"not a 200: {connection.received[:500]!r}")
    lines = head.lower()
    length = int(lines.split(b"content-length:")[1].split(b"\r\n")[0])
    if len(body) >= length and b"connection: close" in lines:
        _connect_again(connection)
    return len(body) >= length


def _connect_again(connection: LoadConnection) -> None:
    """Connect to the same server in place of a connection that it has ended, under the same file descriptor."""
    fresh = socket.create_connection(connection.sock.getpeername())
    fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    os.dup2(fresh.fileno(), connection.sock.fileno())
    fresh.close()


def _summarize(latencies: list[float], seconds: float) -> LoadMeasurement:
    percentiles = statistics.quantiles(latencies, n=100)
    return LoadMeasurement(len(latencies) / seconds, percentiles[49] * 1000, percentiles[98] * 1000)
