"""Requests and responses in plain ASGI: its types, the reading of bodies, and the sending of responses."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import msgspec

from service.http.refusals import RequestRefused
from service.http.requests.arrow_body import ARROW_MEDIA_TYPE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
RawResponse = tuple[int, bytes, Headers]

JSON_MEDIA_TYPE = b"application/json"
JSON_HEADER = (b"content-type", JSON_MEDIA_TYPE)
ARROW_HEADER = (b"content-type", ARROW_MEDIA_TYPE)

encode_response = msgspec.json.Encoder().encode


class ClientDisconnected(Exception):
    """The client disconnected before its request was complete."""


async def read_json_body(limit: int, scope: Message, receive: Receive) -> bytes:
    """Read the body of a request that says it is JSON.

    Args:
        limit: The most bytes of a body.
        scope: The request's scope in ASGI.
        receive: Receives its body.

    Returns:
        The body, which isn't parsed.

    Raises:
        RequestRefused: 415 for another content type, 413 for a larger body.
        ClientDisconnected: The body never ends.
    """
    if JSON_HEADER not in scope["headers"]:
        read_media_type(scope["headers"], False)
    return await read_body(limit, receive)


async def read_body(limit: int, receive: Receive) -> bytes:
    """Read the body of a request.

    Args:
        limit: The most bytes of a body.
        receive: Receives it.

    Returns:
        The body.

    Raises:
        RequestRefused: 413 for a larger body.
        ClientDisconnected: The body never ends.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    if len(body) > limit or message.get("more_body") or message["type"] != "http.request":
        body = await _read_whole_body(message, receive, limit)
    return body


def read_media_type(headers: Headers, takes_arrow: bool) -> bytes:
    """Read the media type of a body.

    Args:
        headers: The request's headers.
        takes_arrow: Whether Arrow is taken beside JSON.

    Returns:
        The media type, in lower case and without parameters.

    Raises:
        RequestRefused: 415, it is another one than those that are taken.
    """
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    media_type = content_type.split(b";")[0].strip().lower()
    if media_type != JSON_MEDIA_TYPE and not (takes_arrow and media_type == ARROW_MEDIA_TYPE):
        stated = repr(content_type.decode("latin-1")[:100]) if content_type else "missing"
        arrow = f", or a list as {ARROW_MEDIA_TYPE.decode()}" if takes_arrow else ""
        raise RequestRefused(415, f"the content type is {stated}: send JSON as application/json{arrow}")
    return media_type


async def _read_whole_body(message: Message, receive: Receive, limit: int) -> bytes:
    """Read the rest of a body that begins with this message.

    Raises:
        RequestRefused: The body is larger than `limit` bytes.
        ClientDisconnected: The client went away.
    """
    parts: list[bytes] = [message.get("body", b"")]
    size = len(parts[0])
    while message["type"] == "http.request" and message.get("more_body") and size <= limit:
        message = await receive()
        size += len(message.get("body", b""))
        if size <= limit:
            parts.append(message.get("body", b""))
    if message["type"] != "http.request":
        raise ClientDisconnected
    if size > limit:
        close = [(b"connection", b"close")] if message.get("more_body") else []
        raise RequestRefused(413, f"the body is larger than {limit} bytes: send fewer records at a time", headers=close)
    return b"".join(parts)


async def send_refusal(send: Send, refused: RequestRefused) -> None:
    """Send a refusal and close the connection, as the body may not have been read.

    Args:
        send: Sends its messages.
        refused: The refusal.
    """
    await send_response(send, refused.status, refused.encode_body(), ((b"connection", b"close"), *refused.headers))


async def send_response(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """Send a whole response.

    Args:
        send: Sends its messages.
        status: The HTTP status.
        body: The body.
        headers: Headers beside its length; JSON is its type where they don't say that it is Arrow.
    """
    length = (b"content-length", b"%d" % len(body))
    typed = headers if ARROW_HEADER in headers else (JSON_HEADER, *headers)
    await send({"type": "http.response.start", "status": status, "headers": [length, *typed]})
    await send({"type": "http.response.body", "body": body})
