"""A connection on which many requests are under way at once."""

import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

MAX_UNDER_WAY = 25  # the service lets 32 requests wait on a connection
MAX_ATTEMPTS = 3
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class RawResponse(NamedTuple):
    """Status and body of a response."""

    status: int
    body: bytes


class PipelinedConnection:
    """Sends requests without waiting for the answers; one that the server closes is opened again."""

    def __init__(self, port: int) -> None:
        """Send to `port` of this machine."""
        self._port = port
        self._connect()

    def exchange_all(self, requests: Sequence[bytes]) -> list[RawResponse]:
        """Send requests one after the other, then read their responses.

        Args:
            requests: Complete HTTP requests.

        Returns:
            The responses in the requests' order.

        Raises:
            ConnectionError: The server closes connections without any answer.
            TimeoutError: An answer takes longer than half a minute.
        """
        responses: list[RawResponse] = []
        attempts = 0
        while len(responses) < len(requests):
            due = requests[len(responses) : len(responses) + MAX_UNDER_WAY]
            with suppress(ConnectionError):
                self._socket.sendall(b"".join(due))
            answered = [response for _ in due if (response := self._read_response())]
            if len(answered) < len(due):  # it was closed, as after some refusals, or as it was idle for too long
                self.close()
                self._connect()
            attempts = 0 if answered else attempts + 1
            if attempts == MAX_ATTEMPTS:
                raise ConnectionError(f"no answer to {due[0][-200:]!r}")
            responses += answered
        return responses

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), 30)
        self._received = b""

    def _read_response(self) -> RawResponse | None:
        """Return the next response, or None where the server has closed the connection."""
        while not (head := self._received.partition(b"\r\n\r\n"))[1]:
            if not self._receive():
                return None
        match = LENGTH.search(head[0])
        end = len(head[0]) + 4 + (int(match[1]) if match else 0)
        while len(self._received) < end:
            if not self._receive():
                return None
        response = RawResponse(int(head[0].split(b" ", 2)[1]), self._received[len(head[0]) + 4 : end])
        self._received = self._received[end:]
        return response

    def _receive(self) -> bool:
        try:
            more = self._socket.recv(1 << 16)
        except ConnectionError:
            return False
        self._received += more
        return bool(more)


def encode_request(path: str, body: bytes, **headers: str) -> bytes:
    """Encode a POST of JSON.

    Args:
        path: Where to.
        body: The body.
        headers: More headers, with underscores for hyphens.

    Returns:
        The request as HTTP/1.1.
    """
    fields = {"host": "localhost", "content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode() + body
