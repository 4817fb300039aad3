"""The client for programs without an event loop."""

import re
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self, TypeVar

import httpx

from penumbra.client import tables
from penumbra.client.errors import ClientError, RequestFailed, ServiceUnreachable, TooLarge
from penumbra.client.exchange import Exchange, RetryPolicy
from penumbra.client.operations import (
    MAX_BODY_BYTES,
    MAX_CONNECTIONS,
    MAX_RECORDS,
    Operations,
    Part,
    PartSender,
    shift_details,
)
from penumbra.client.responses import FeedbackResponse, PredictResponse, ReadinessResponse, ReviewResponse

MAX_PORT = 65_535
HEADER_TEXT = re.compile(r"[!-~]+")  # printable ASCII without spaces

Result = TypeVar("Result")


class Client:
    """A client of one service, for any number of threads; a context manager.

    Every method raises `ServiceUnreachable` where there is no answer within the policy's deadline, and a subclass of
    `RequestFailed`, with the service's sentence and each fault, where the service refuses the request.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        policy: RetryPolicy | None = None,
        max_records: int = MAX_RECORDS,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_connections: int = MAX_CONNECTIONS,
        **options: Any,
    ) -> None:
        """Connect when the first request is sent.

        Args:
            url: The service's address, such as "https://predictions.example".
            api_key: The API key; empty where the service needs none.
            policy: How often and how long a request is tried.
            max_records: The most records of a list in one request; where the service takes fewer, it gets fewer.
            max_body_bytes: The most bytes in one request, likewise.
            max_connections: The most requests at a time; others wait for their turn, when their deadline begins.
            **options: Options of `httpx.Client`, such as `verify`, `cert` or `proxy`.

        Raises:
            ValueError: The address is none, or the API key can't be in a header.
        """
        self._operations = Operations(policy or RetryPolicy(), max_records, max_body_bytes)
        self._http = httpx.Client(**make_http_options(url, api_key, max_connections, options))
        self._address = hide_secrets(url)
        self._turns = threading.BoundedSemaphore(max_connections)

    def __enter__(self) -> Self:
        """Return this client."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connections; `error` is passed on."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, record: Any, idempotency_key: str | None = None, **options: bool) -> PredictResponse:
        """Predict for one record.

        Args:
            record: The record by column.
            idempotency_key: What the request is known by where a program sends it again; by default a new one.
            **options: Options of the query, such as `explain=True`.

        Returns:
            The answer.
        """
        return self._send(self._operations.predict(record, idempotency_key, options))

    def predict_list(
        self, records: Iterable[Any], idempotency_key: str | None = None, **options: bool
    ) -> list[PredictResponse]:
        """Predict for a list of any length, which is sent in as many requests as it takes.

        Args:
            records: The records by column.
            idempotency_key: What the list is known by where a program sends it again; by default a new one.
            **options: Options of the query, such as `explain=True`.

        Returns:
            The answers in the records' order.

        Raises:
            ClientError: A request has no answer; `answered` of it has the answers to the records before.
        """
        parts = self._operations.split(records)
        return self._collect(self._operations.predict_parts(idempotency_key, options), parts)

    def predict_stream(
        self, records: Iterable[Any], idempotency_key: str | None = None, **options: bool
    ) -> Iterator[PredictResponse]:
        """Predict for records that needn't fit into memory.

        Args:
            records: The records by column, which are taken as they are needed.
            idempotency_key: As of `predict_list`.
            **options: Options of the query, such as `explain=True`.

        Yields:
            The answers in the records' order.
        """
        yield from self._send_parts(
            self._operations.predict_parts(idempotency_key, options), self._operations.split(records)
        )

    def predict_table(self, table: Any, idempotency_key: str | None = None, **options: bool) -> Any:
        """Predict for the rows of a table, which is sent as Arrow: in a third of the bytes, and with little work here.

        Args:
            table: A polars DataFrame or a pyarrow Table, with the columns of the records.
            idempotency_key: As of `predict_list`.
            **options: Options of the query, such as `explain=True`.

        Returns:
            The answers, a row each in the same order, as a table of the same library; fields that no answer has are
            no columns.
        """
        sender = self._operations.predict_table(table, idempotency_key, options)
        parts = tables.split_table(table, self._operations.max_records)
        try:
            answers = self._collect(sender, parts)
        except ClientError as error:
            error.answered = tables.concatenate_answers(table, error.answered)
            raise
        return tables.concatenate_answers(table, answers)

    def send_label(self, label: Any) -> FeedbackResponse:
        """Send what happened.

        Args:
            label: The outcome columns, with the field `prediction_id` or the columns of the key.

        Returns:
            The label's id.
        """
        return self._send(self._operations.send_label(label))

    def send_labels(self, labels: Iterable[Any]) -> list[FeedbackResponse]:
        """Send any number of labels, in as many requests as it takes.

        Args:
            labels: The labels, each as of `send_label`.

        Returns:
            Their ids in the same order.
        """
        return self._collect(self._operations.label_parts(), self._operations.split(labels))

    def review(self, prediction_id: str) -> ReviewResponse:
        """Return what has become of an answer that is `pending`; `prediction_id` is its id."""
        return self._send(self._operations.review(prediction_id))

    def explain(self, prediction_id: str) -> dict[str, Any]:
        """Return where the answer with the id `prediction_id` came from; takes an admin's key."""
        return self._send(self._operations.explain(prediction_id))

    def readiness(self) -> ReadinessResponse:
        """Return whether requests can be answered and logged; it is asked once."""
        return self._send(self._operations.readiness())

    def is_alive(self) -> bool:
        """Return whether the service answers at all; it is asked once."""
        try:
            return self._send(self._operations.is_alive())
        except ServiceUnreachable:
            return False

    def metrics(self) -> str:
        """Return the metrics in Prometheus' format; takes a key for them."""
        return self._send(self._operations.metrics())

    def _collect(self, sender: PartSender[Result], parts: Iterable[Part]) -> list[Result]:
        """Send parts of a list; an error carries the answers to those before."""
        answers: list[Result] = []
        try:
            answers.extend(self._send_parts(sender, parts))
        except ClientError as error:
            error.answered = answers
            raise
        return answers

    def _send_parts(self, sender: PartSender[Result], parts: Iterable[Part]) -> Iterator[Result]:
        """Send parts of a list, and in halves those that are too large for the service; yield the answers."""
        for whole in parts:
            waiting = [whole]
            while waiting:
                part = waiting.pop()
                try:
                    answers = self._send(sender.make_exchange(part))
                except RequestFailed as error:
                    if not isinstance(error, TooLarge) or part.n_records == 1:
                        shift_details(error, part.start)
                        raise
                    waiting += reversed(part.split())
                else:
                    yield from answers

    def _send(self, exchange: Exchange[Result]) -> Result:
        with self._turns:
            exchange.begin(self._address)
            while True:
                try:
                    status, headers, body = self._attempt(exchange)
                except httpx.RequestError as error:
                    wait: float | None = exchange.compute_wait(error)
                else:
                    wait, result = exchange.read(status, headers, body)
                    if wait is None:
                        return result  # type: ignore[return-value]
                time.sleep(wait or 0.0)

    def _attempt(self, exchange: Exchange[Result]) -> tuple[int, httpx.Headers, bytes]:
        timeout = exchange.begin_attempt()
        with self._http.stream(
            exchange.method, exchange.path, headers=exchange.headers, content=exchange.body, timeout=timeout
        ) as answer:
            return answer.status_code, answer.headers, exchange.collect(answer.iter_bytes())


def hide_secrets(url: str) -> str:
    """Return an address `url` as errors may show it: without a password or a query."""
    return re.sub(r"([?#]).*", r"\1…", re.sub("//.*@", "//…@", url))


def make_http_options(url: str, api_key: str, max_connections: int, options: dict[str, Any]) -> dict[str, Any]:
    """Make the options of httpx' clients.

    Args:
        url: The service's address.
        api_key: The API key; empty for none.
        max_connections: The most connections, all of which are kept open.
        options: More options, which may replace these.

    Returns:
        The options, with the address, and the key as a header.

    Raises:
        ValueError: The address is none, or the API key can't be in a header; neither's secrets are shown.
    """
    shown = hide_secrets(url)
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the service's address is {shown!r}: it begins with http:// or https://")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"the service's address is {shown!r}: {error}") from None
    if "?" in url or "#" in url:
        raise ValueError(
            f"the service's address is {shown!r}: expected no query and no fragment, paths are added to it"
        )
    if not parsed.host or (parsed.port or 0) > MAX_PORT:
        raise ValueError(f"the service's address is {shown!r}: it names no host, or a port that there can't be")
    if api_key and not HEADER_TEXT.fullmatch(api_key):
        raise ValueError("the API key has a space, a line end or a character beyond ASCII: no header can carry it")
    authorization = {"authorization": f"Bearer {api_key}"} if api_key else {}
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
    headers = {**authorization, **dict(options.get("headers", {}))}
    return {"limits": limits, **options, "base_url": url, "headers": headers}
