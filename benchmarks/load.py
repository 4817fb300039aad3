"""A cheap load generator: one thread, raw sockets, one request in flight on each connection."""

import selectors
import socket
import statistics
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Requests a second, and latency percentiles in milliseconds."""

    per_second: float
    p50: float
    p99: float


@dataclass
class Connection:
    sock: socket.socket
    sent: float = 0.0
    received: bytes = b""


def post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def measure(port: int, request: bytes, connections: int, seconds: float) -> Measured:
    """Send `request` over and over; raises RuntimeError at the first answer that isn't a 200."""
    selector = selectors.DefaultSelector()
    open_connections = [Connection(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
    for connection in open_connections:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection.sock, selectors.EVENT_READ, connection)
        _send(connection, request)
    latencies: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for key, _ in selector.select(1):
            if _complete(key.data):
                latencies.append(time.perf_counter() - key.data.sent)
                _send(key.data, request)
    elapsed = time.perf_counter() - start
    for connection in open_connections:
        connection.sock.close()
    return _summary(latencies, elapsed)


def _send(connection: Connection, request: bytes) -> None:
    connection.received = b""
    connection.sent = time.perf_counter()
    connection.sock.sendall(request)


def _complete(connection: Connection) -> bool:
    data = connection.sock.recv(65536)
    if not data:
        raise RuntimeError("the server closed the connection")
    connection.received += data
    head, _, body = connection.received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"not a 200: {connection.received[:500]!r}")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return len(body) >= length


def _summary(latencies: list[float], seconds: float) -> Measured:
    percentiles = statistics.quantiles(latencies, n=100)
    return Measured(len(latencies) / seconds, percentiles[49] * 1000, percentiles[98] * 1000)
