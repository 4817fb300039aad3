"""The head of a request: what is read from it before its key is checked, and the refusals of what is wrong with it."""

import logging
from typing import Any
from urllib.parse import unquote

import httptools

from service.connections.bounds import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED, PATIENCE_SECONDS
from service.http.asgi import Headers
from service.http.refusals import RequestRefused

PREDICT_PATH = b"/predict"
MAX_FAST_BODY_BYTES = 65_536  # larger bodies are left to uvicorn
CLOSE_HEADER = (b"connection", b"close")
SLOW_PATH_HEADERS = frozenset(
    [b"expect", b"x-forwarded-for", b"x-forwarded-proto", b"transfer-encoding", b"idempotency-key"]
)

logger = logging.getLogger("service.connections.request_head")


def read_path(target: bytes) -> str:
    """Read the path from a request's target.

    Args:
        target: The target, as in the request line.

    Returns:
        The path, decoded, without the query.

    Raises:
        RequestRefused: 400, it is no target.
    """
    try:
        return unquote(httptools.parse_url(target).path.decode("ascii"))
    except (httptools.HttpParserError, UnicodeDecodeError, AttributeError):
        raise RequestRefused(400, "this target is none of HTTP/1.1: send a path such as /predict") from None


def is_plain_request(parser: Any, headers: Headers) -> bool:
    """Check whether a request is a POST that needs nothing of uvicorn.

    Args:
        parser: httptools' parser, at the end of the request.
        headers: The request's headers.

    Returns:
        False for other methods and versions, the last request of a connection, upgrades, chunks, idempotency keys, and
        what came through a proxy.
    """
    return (
        parser.get_method() == b"POST"
        and parser.get_http_version() == "1.1"
        and parser.should_keep_alive()
        and not parser.should_upgrade()
        and SLOW_PATH_HEADERS.isdisjoint(dict(headers))
    )


def require_small_head(target: bytes, headers: Headers) -> None:
    """Refuse a head of more than `MAX_HEAD_BYTES` or `MAX_HEADERS`.

    Args:
        target: The request's target.
        headers: Its headers.

    Raises:
        RequestRefused: 414 or 431.
    """
    size = len(target) + sum(len(name) + len(value) for name, value in headers)
    if size > MAX_HEAD_BYTES or len(headers) > MAX_HEADERS:
        raise build_head_refusal(target)


def build_head_refusal(target: bytes) -> RequestRefused:
    """Build the refusal of a head that is too large.

    Args:
        target: What was received of the request's target.

    Returns:
        414 where that makes up most of the head, else 431.
    """
    if len(target) > MAX_HEAD_BYTES // 2:
        return RequestRefused(414, f"the request line is too long: a head has at most {MAX_HEAD_BYTES} bytes")
    return RequestRefused(431, f"the headers are too large: at most {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers")


def require_short_pipeline(waiting: int) -> None:
    """Refuse a request behind too many others.

    Args:
        waiting: The requests of its connection that wait for the answer to another one.

    Raises:
        RequestRefused: 429, there are `MAX_PIPELINED`.
    """
    if waiting >= MAX_PIPELINED:
        raise RequestRefused(429, f"{MAX_PIPELINED} requests wait on this connection already: read their answers")


def build_late_head_refusal() -> RequestRefused:
    """Build the refusal of headers that aren't complete in time.

    Returns:
        408.
    """
    return RequestRefused(408, f"the headers were not complete within {PATIENCE_SECONDS:g} s")


def build_crowd_refusal() -> RequestRefused:
    """Build the refusal of a request that is still incomplete when its connection has to give way to others.

    Returns:
        503.
    """
    crowd = "this worker has more connections than it takes, and this request had been incomplete for longest"
    return RequestRefused(503, crowd, headers=[(b"retry-after", b"1")])


def explain_error(error: httptools.HttpParserError | RequestRefused) -> RequestRefused:
    """Explain why no more of a request is parsed.

    Args:
        error: A refusal, or what the parser raised; its context is what one of its callbacks raised.

    Returns:
        The refusal, also one that a callback raised, or one of what is no HTTP; 500 for an error of ours, which is
        logged.
    """
    if isinstance(error, RequestRefused):
        return error
    if not isinstance(error, httptools.HttpParserCallbackError):
        return RequestRefused(400, f"this is not HTTP/1.1: {error}")
    if isinstance(error.__context__, RequestRefused):
        return error.__context__
    logger.error("a request failed as it arrived", exc_info=error.__context__)
    return RequestRefused(500, "unexpected error, see the service's log")
