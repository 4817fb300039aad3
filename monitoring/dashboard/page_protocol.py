"""The HTTP protocol of the dashboard: the service's, with its bounds on what a peer can hold, and the pages' access."""

from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.connections.bounds import ConnectionBounds
from service.connections.connection_pool import ConnectionPool
from service.connections.http_protocol import FastHttpProtocol
from service.http.asgi import Message
from service.http.requests.micro_batching import RespondCallback

MAX_CONNECTIONS, MAX_BODY_BYTES = 200, 8 << 20
ANSWER_SECONDS, KEEP_ALIVE_SECONDS = 120.0, 30.0


def make_page_protocol(check: Callable[[Message], None]) -> type[HttpToolsProtocol]:
    """Make the protocol's class for uvicorn.

    Args:
        check: Lets a request whose headers are complete pass, or raises RequestRefused, before any of its body is kept.

    Returns:
        The class, whose connections are in a pool of their own.
    """
    page_bounds = ConnectionBounds(MAX_BODY_BYTES, ANSWER_SECONDS, KEEP_ALIVE_SECONDS, MAX_CONNECTIONS)

    class PageProtocol(FastHttpProtocol):
        bounds, pool = page_bounds, ConnectionPool(page_bounds)

        def admit(self, scope: Message) -> bool:
            scope["method"] = self.parser.get_method().decode("ascii")
            check(scope)
            return True

        @staticmethod
        def try_accept(scope: Message, body: bytes, respond: RespondCallback) -> bool:
            return False

        @staticmethod
        def flush() -> None:
            pass

    return PageProtocol
