"""An HTTP server with a thread for each connection, of which there are few, none long and none with a large head."""

import socket
import time
from contextlib import suppress
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO

MAX_CONNECTIONS = 64
SILENT_SECONDS, MOST_SECONDS = 5.0, 60.0  # between two pieces of a request, and from its connection to its answer
MAX_HEAD_BYTES = 16_384


class BoundedHttpServer(ThreadingHTTPServer):
    """Closes the oldest connection where there are too many, and each one that takes too long."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._began: dict[socket.socket, float] = {}  # the oldest first
        super().__init__(*args, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a new connection.

        Args:
            request: Its socket.
            client_address: Where it comes from.
        """
        request.settimeout(SILENT_SECONDS)
        for connection in list(self._began)[: max(0, len(self._began) - MAX_CONNECTIONS + 1)]:
            self._end(connection)
        self._began[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget and close a connection; `request` is its socket."""
        self._began.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close the connections that take too long; called twice a second."""
        oldest = time.monotonic() - MOST_SECONDS
        for connection in [each for each, began in list(self._began.items()) if began < oldest]:
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        """Close a connection, so that its thread ends when it next reads or writes."""
        self._began.pop(connection, None)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class BoundedRequestHandler(BaseHTTPRequestHandler):
    """Handles requests whose head is at most `MAX_HEAD_BYTES`; larger ones get a 431."""

    def setup(self) -> None:
        """Read the connection through a `HeadReader`."""
        super().setup()
        self.rfile: Any = HeadReader(self.rfile)

    def handle_one_request(self) -> None:
        """Handle one request, or end the connection."""
        self.rfile.begin_head()
        with suppress(ConnectionError):  # the peer is gone
            super().handle_one_request()

    def log_message(self, format: str, *words: object) -> None:
        """Log nothing: neither `format` nor `words` of peers."""


class HeadReader:
    """A connection's file, of which only so much is read by the line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_HEAD_BYTES

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def begin_head(self) -> None:
        """Begin the head of a request."""
        self._left = MAX_HEAD_BYTES

    def readline(self, limit: int) -> bytes:
        """Read a line of the head.

        Args:
            limit: The most bytes of the line.

        Returns:
            The line, cut off where the head would be too large.

        Raises:
            LineTooLong: The head is too large.
        """
        if self._left <= 0:
            raise LineTooLong("head")
        line = self._file.readline(min(limit, self._left))
        self._left -= len(line)
        return line
