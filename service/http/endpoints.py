"""The service's own paths as plain ASGI, where microseconds count. All other paths are passed on to BentoML."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

from service.http.access.access_control import REVIEWS_PREFIX
from service.http.asgi import (
    ARROW_HEADER,
    JSON_HEADER,
    AsgiApp,
    ClientDisconnected,
    Headers,
    Message,
    RawResponse,
    Receive,
    Send,
    encode_response,
    read_body,
    read_media_type,
    send_response,
)
from service.http.refusals import RequestRefused
from service.http.requests.arrow_answers import accepts_arrow, encode_arrow
from service.http.requests.arrow_body import ARROW_MEDIA_TYPE
from service.http.requests.idempotency_key import describe_keyed_request, read_idempotency_key
from service.http.requests.look_ups import READ_METHODS, LookUps
from service.http.requests.options import read_options
from service.http.requests.record_reader import RecordReader
from service.inference.idempotency.request_claims import KeyedRequest
from service.inference.predictor import Predictor

EXPLAIN_PREFIX = "/explain/"
MAX_BYTES_AT_ONCE = 65_536  # that are hashed on the event loop
JSON_WHITESPACE = b" \t\r\n"

logger = logging.getLogger("service.http.endpoints")


class Endpoint(Protocol):
    """Takes records by POST: reads them by its contract, answers one or a list of them, and counts its requests."""

    @property
    def contract(self) -> RecordReader:
        """The reader of request bodies."""

    @property
    def options(self) -> Mapping[str, str]:
        """The options of a request's query by name, each with the words for what it asks for."""

    async def answer_one(self, record: Any, began: float, options: Collection[str]) -> Any:
        """Answer one record.

        Args:
            record: The parsed record, by column.
            began: When its request arrived, by `time.perf_counter`, in seconds.
            options: The names of the options that the request asks for.

        Returns:
            The body of the response, as something that msgspec can encode.

        Raises:
            RequestRefused: The record is not answered.
        """

    async def answer_batch(self, records: Any, began: float, options: Collection[str]) -> Any:
        """Answer a list of records.

        Args:
            records: The parsed records, each by column.
            began: When their request arrived, by `time.perf_counter`, in seconds.
            options: The names of the options that the request asks for.

        Returns:
            The answers in the records' order.

        Raises:
            RequestRefused: The list is refused as a whole.
        """

    async def answer_once(
        self, request: KeyedRequest, records: Any, began: float, options: Collection[str]
    ) -> tuple[Any, int]:
        """Answer a request with an idempotency key; one that is repeated is answered as before.

        Args:
            request: What the request is known by.
            records: The parsed record, or a list of them.
            began: When the request arrived, by `time.perf_counter`, in seconds.
            options: The options that it asks for.

        Returns:
            The answer, or the answers in the records' order, and how many of them weren't given before.

        Raises:
            RequestRefused: The request is refused as a whole.
        """

    def count_request(self, status: int, n_records: int, seconds: float) -> None:
        """Count one finished request, by HTTP `status`, `n_records` answered, and `seconds` from arrival to answer."""


class ServiceParts(Protocol):
    """The objects behind the paths. `explain` and `find_review` may block, and are called as `LookUps` says."""

    predictor: Predictor
    feedback: Endpoint
    explain: Callable[[str], Any]
    find_review: Callable[[str], Any]


def build_asgi_app(rest: AsgiApp, parts: Callable[[], ServiceParts], max_body_bytes: int) -> AsgiApp:
    """Build the ASGI application of the service's own paths.

    Args:
        rest: The application that takes all other paths.
        parts: Returns the objects behind the paths; called at each request, as BentoML creates them at start-up.
        max_body_bytes: Larger bodies are refused.

    Returns:
        The application; it is not guarded by keys or limits (see service/http/access/guard.py).
    """

    look_ups = LookUps()

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
            found = await look_ups.answer(parts().explain, scope["method"], path.removeprefix(EXPLAIN_PREFIX))
            await send_response(send, *found)
        elif path.startswith(REVIEWS_PREFIX):
            found = await look_ups.answer(parts().find_review, scope["method"], path.removeprefix(REVIEWS_PREFIX))
            await send_response(send, *found)
        else:
            await rest(scope, receive, send)

    return serve


async def answer_post(endpoint: Endpoint, limit: int, scope: Message, receive: Receive) -> RawResponse:
    """Answer one request, and count it.

    Args:
        endpoint: What answers.
        limit: The most bytes of a body.
        scope: The request's scope in ASGI.
        receive: Receives its body.

    Returns:
        Status, body and headers of the response: an answer or a refusal.

    Raises:
        ClientDisconnected: The client went away.
    """
    began, n_records = time.perf_counter(), 0
    try:
        answers, n_records = await _answer_request(endpoint, limit, scope, receive, began)
        response: RawResponse = 200, *await _encode_answers(answers, scope["headers"])
    except ClientDisconnected:
        raise
    except Exception as error:
        response = build_error_response(endpoint, error)
    endpoint.count_request(response[0], n_records, time.perf_counter() - began)
    return response


async def _handle_post(endpoint: Endpoint, limit: int, scope: Message, receive: Receive, send: Send) -> None:
    with contextlib.suppress(ClientDisconnected):
        await send_response(send, *await answer_post(endpoint, limit, scope, receive))


def build_error_response(endpoint: Endpoint, error: Exception) -> RawResponse:
    """Build the response to a request that raised an error; log an unexpected error with its traceback.

    Args:
        endpoint: Its contract says what the failure means for the client, such as "nothing was predicted".
        error: What the request raised.

    Returns:
        Status, body and headers: those of a RequestRefused, or 500.
    """
    if isinstance(error, RequestRefused):
        return error.status, error.encode_body(), error.headers
    logger.error("a request failed, %s", endpoint.contract.consequence, exc_info=error)
    return (
        500,
        RequestRefused(500, f"unexpected error, see the service's log: {endpoint.contract.consequence}").encode_body(),
        (),
    )


async def _answer_request(
    endpoint: Endpoint, limit: int, scope: Message, receive: Receive, began: float
) -> tuple[Any, int]:
    """Return the answer, or a list of them, and the number of records that are answered for the first time.

    Raises:
        RequestRefused: Method, options, content type, size or content of the request are not accepted.
        ClientDisconnected: The body never ends.
    """
    if scope["method"] != "POST":
        raise RequestRefused(
            405, f"{scope['method']} is not possible here: POST a record or a list", headers=[(b"allow", b"POST")]
        )
    options = read_options(scope["query_string"], endpoint.options)
    is_arrow = JSON_HEADER not in scope["headers"] and read_media_type(scope["headers"], True) == ARROW_MEDIA_TYPE
    body, key = await read_body(limit, receive), read_idempotency_key(scope["headers"])
    records = await _parse_body(endpoint.contract, body, is_arrow, limit)
    if key is not None:
        describe = partial(describe_keyed_request, key, scope["headers"], options, body)
        request = await asyncio.to_thread(describe) if len(body) > MAX_BYTES_AT_ONCE else describe()
        return await endpoint.answer_once(request, records, began, options)
    if isinstance(records, dict):
        return await endpoint.answer_one(records, began, options), 1
    return await endpoint.answer_batch(records, began, options), len(records)


async def _parse_body(contract: RecordReader, body: bytes, is_arrow: bool, limit: int) -> Any:
    """Return a record, or a list of them, which is parsed in a thread."""
    if is_arrow:
        return await asyncio.to_thread(contract.parse_arrow, body, limit)
    if body[:1] != b"{" and body.lstrip(JSON_WHITESPACE)[:1] == b"[":
        return await asyncio.to_thread(contract.parse_batch, body)
    return contract.parse_one(body)


async def _encode_answers(answers: Any, headers: Headers) -> tuple[bytes, Headers]:
    """Return the body of a response, in the form that the request accepts, and its headers."""
    if isinstance(answers, list) and accepts_arrow(headers):
        return await asyncio.to_thread(encode_arrow, answers), (ARROW_HEADER,)
    return encode_response(answers), ()


async def _handle_ready(predictor: Predictor, send: Send) -> None:
    state = predictor.describe_readiness()
    await send_response(send, 200 if state["ready"] else 503, encode_response(state))
