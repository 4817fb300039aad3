"""A reverse proxy to a server that listens at a Unix socket, which only this user's processes can open."""

from pathlib import Path

import httpx
from starlette.requests import Request

from service.http.asgi import AsgiApp, Headers, Message, Receive, Send
from service.http.refusals import RequestRefused

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 120.0
# What concerns one connection only, who asks, and what lets other origins in.
DROPPED_FROM_REQUESTS = frozenset(
    [
        b"host",
        b"connection",
        b"keep-alive",
        b"te",
        b"upgrade",
        b"transfer-encoding",
        b"authorization",
        b"origin",
        b"referer",
    ]
)
DROPPED_FROM_ANSWERS = frozenset([b"connection", b"keep-alive", b"transfer-encoding", b"server", b"date"])
DROPPED_PREFIXES = (b"x-forwarded-", b"access-control-", b"proxy-")


def make_reverse_proxy(socket: Path, title: str) -> AsgiApp:
    """Make an ASGI application that passes requests on and answers back, without reading them whole.

    Args:
        socket: The Unix socket.
        title: What listens there, for messages.

    Returns:
        The application. Raises RequestRefused (503) while nothing listens.
    """
    once = httpx.Limits(max_keepalive_connections=0)  # a kept connection may be closed just as it is used again
    client = httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=once),
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        trust_env=False,
    )

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        try:
            answer = await client.send(_build_request(client, scope, receive), stream=True)
        except httpx.TimeoutException:
            raise RequestRefused(504, f"{title} didn't answer within {ANSWER_SECONDS:g} s") from None
        except httpx.TransportError:
            message = f"{title} is starting, or has ended: dashboard/*.log in the monitor's folder say why"
            raise RequestRefused(503, message, headers=[(b"retry-after", b"1")]) from None
        try:
            await _pass_answer(answer, send)
        finally:
            await answer.aclose()

    return serve


def _build_request(client: httpx.AsyncClient, scope: Message, receive: Receive) -> httpx.Request:
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    headers = _select_headers(scope["headers"], DROPPED_FROM_REQUESTS)
    has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
    return client.build_request(
        scope["method"],
        httpx.URL(scheme="http", host="localhost", raw_path=scope["raw_path"] + query),
        headers=[(b"host", b"localhost"), *headers],
        content=Request(scope, receive).stream() if has_body else None,
    )


async def _pass_answer(answer: httpx.Response, send: Send) -> None:
    headers = _select_headers(answer.headers.raw, DROPPED_FROM_ANSWERS)
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    async for part in answer.aiter_raw():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _select_headers(headers: Headers, dropped: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    lower = [(name.lower(), value) for name, value in headers]
    return [(name, value) for name, value in lower if name not in dropped and not name.startswith(DROPPED_PREFIXES)]
