"""The paths of our own as plain ASGI: the few microseconds that count. Everything else goes to BentoML."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

import msgspec

from penumbra.registry.lineage import UnknownPrediction
from service.http.record_reader import RecordReader
from service.http.refusals import RequestRefused
from service.inference.predictor import Predictor

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
RawResponse = tuple[int, bytes, Headers]

JSON_MEDIA_TYPE = b"application/json"
JSON_HEADER = (b"content-type", JSON_MEDIA_TYPE)
EXPLAIN_PREFIX = "/explain/"
READ_METHODS = ("GET", "HEAD")
JSON_WHITESPACE = b" \t\r\n"
MAX_DRAIN_FACTOR = 4  # a body of up to so many times the limit is read to its end, so that its sender sees the refusal

encode_response = msgspec.json.Encoder().encode
logger = logging.getLogger("service.http.asgi")


class ClientDisconnected(Exception):
    """The client went away before its request was complete."""


class Endpoint(Protocol):
    """What takes records by POST: reads them by its contract, answers one or many of a request that arrived at `began`
    (by `time.perf_counter`), and counts what it did."""

    @property
    def contract(self) -> RecordReader: ...

    def answer_one(self, record: Any, began: float) -> Any: ...

    async def answer_batch(self, records: Any, began: float) -> Any: ...

    def count(self, status: int, n_records: int, seconds: float) -> None: ...


class ServiceParts(Protocol):
    """What the paths lead to. `explain` may block and raises Unknown."""

    predictor: Predictor
    feedback: Endpoint
    explain: Callable[[str], Any]


def build_asgi_app(rest: AsgiApp, parts: Callable[[], ServiceParts], max_body_bytes: int) -> AsgiApp:
    """The ASGI application; `parts` are asked for at each request, as there are none before BentoML's start-up."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http":
            await rest(scope, receive, send)
        elif path == "/predict":
            await _handle_post(parts().predictor, max_body_bytes, scope, receive, send)
        elif path == "/feedback":
            await _handle_post(parts().feedback, max_body_bytes, scope, receive, send)
        elif path == "/readyz" and scope["method"] in READ_METHODS:
            await _handle_ready(parts().predictor, send)
        elif path.startswith(EXPLAIN_PREFIX):
            await _handle_explain(parts().explain, scope, send)
        else:
            await rest(scope, receive, send)

    return serve


async def _handle_post(endpoint: Endpoint, limit: int, scope: Message, receive: Receive, send: Send) -> None:
    began, n_records = time.perf_counter(), 0
    try:
        answer, n_records = await _answer_request(endpoint, limit, scope, receive, began)
        response: RawResponse = 200, answer, ()
    except ClientDisconnected:
        return
    except Exception as error:
        response = build_error_response(endpoint, error)
    await _send(send, *response)
    endpoint.count(response[0], n_records, time.perf_counter() - began)


def build_error_response(endpoint: Endpoint, error: Exception) -> RawResponse:
    """What to say of a request that raised this; what nobody expected is logged."""
    if isinstance(error, RequestRefused):
        return error.status, error.body(), error.headers
    logger.error("a request failed, %s", endpoint.contract.undone, exc_info=error)
    return 500, RequestRefused(500, f"unexpected error, see the service's log: {endpoint.contract.undone}").body(), ()


async def _answer_request(
    endpoint: Endpoint, limit: int, scope: Message, receive: Receive, began: float
) -> tuple[bytes, int]:
    """The body of the answer, and for how many records."""
    if scope["method"] != "POST":
        raise RequestRefused(
            405, f"{scope['method']} is not possible here: POST a record or a list", headers=[(b"allow", b"POST")]
        )
    if JSON_HEADER not in scope["headers"]:
        _require_json(scope["headers"])
    message = await receive()
    body: bytes = message.get("body", b"")
    if len(body) > limit or message.get("more_body") or message["type"] != "http.request":
        body = await _read_whole_body(message, receive, limit)
    if body[:1] != b"{" and body.lstrip(JSON_WHITESPACE)[:1] == b"[":
        answers = await endpoint.answer_batch(await asyncio.to_thread(endpoint.contract.parse_batch, body), began)
        return encode_response(answers), len(answers)
    return encode_response(endpoint.answer_one(endpoint.contract.parse_one(body), began)), 1


def _require_json(headers: Headers) -> None:
    given = next((value for name, value in headers if name == b"content-type"), b"")
    if given.split(b";")[0].strip().lower() != JSON_MEDIA_TYPE:
        stated = repr(given.decode("latin-1")[:100]) if given else "missing"
        raise RequestRefused(415, f"the content type is {stated}: send JSON as application/json")


async def _read_whole_body(message: Message, receive: Receive, limit: int) -> bytes:
    """The body that begins with this message. Raises Refused over the limit, Disconnected where it never ends."""
    parts: list[bytes] = [message.get("body", b"")]
    size = len(parts[0])
    while message["type"] == "http.request" and message.get("more_body") and size <= MAX_DRAIN_FACTOR * limit:
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


async def _handle_explain(explain: Callable[[str], Any], scope: Message, send: Send) -> None:
    """Reads files, so it does that in a thread."""
    status, headers = 200, ()  # type: tuple[int, Headers]
    try:
        if scope["method"] not in READ_METHODS:
            raise RequestRefused(405, f"{scope['method']} is not possible here: GET", headers=[(b"allow", b"GET")])
        answer = encode_response(await asyncio.to_thread(explain, scope["path"].removeprefix(EXPLAIN_PREFIX)))
    except UnknownPrediction as unknown:
        status, answer = 404, RequestRefused(404, str(unknown)).body()
    except RequestRefused as refused:
        status, answer, headers = refused.status, refused.body(), refused.headers
    except Exception:
        logger.exception("a request to %r failed", scope["path"])
        status, answer = 500, RequestRefused(500, "unexpected error, see the service's log").body()
    await _send(send, status, answer, headers)


async def _handle_ready(predictor: Predictor, send: Send) -> None:
    state = predictor.readiness()
    await _send(send, 200 if state["ready"] else 503, encode_response(state))


async def _send(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [JSON_HEADER, length, *headers]})
    await send({"type": "http.response.body", "body": body})
