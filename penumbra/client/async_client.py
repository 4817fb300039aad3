"""The client for programs with an event loop."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Self, TypeVar

import httpx

from penumbra.client import tables
from penumbra.client.client import hide_secrets, make_http_options
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

Result = TypeVar("Result")


class AsyncClient:
    """A client of one service, for any number of tasks of one event loop; an asynchronous context manager.

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
            **options: Options of `httpx.AsyncClient`, such as `verify`, `cert` or `proxy`.

        Raises:
            ValueError: The address is none, or the API key can't be in a header.
        """
        self._operations = Operations(policy or RetryPolicy(), max_records, max_body_bytes)
        self._http = httpx.AsyncClient(**make_http_options(url, api_key, max_connections, options))
        self._address = hide_secrets(url)
        self._turns = asyncio.Semaphore(max_connections)

    async def __aenter__(self) -> Self:
        """Return this client."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the connections; `error` is passed on."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def predict(self, record: Any, idempotency_key: str | None = None, **options: bool) -> PredictResponse:
        """Predict for one record.

        Args:
            record: The record by column.
            idempotency_key: What the request is known by where a program sends it again; by default a new one.
            **options: Options of the query, such as `explain=True`.

        Returns:
            The answer.
        """
        return await self._send(self._operations.predict(record, idempotency_key, options))

    async def predict_list(
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
        return await self._collect(self._operations.predict_parts(idempotency_key, options), parts)

    async def predict_stream(
        self, records: Iterable[Any], idempotency_key: str | None = None, **options: bool
    ) -> AsyncIterator[PredictResponse]:
        """Predict for records that needn't fit into memory.

        Args:
            records: The records by column, which are taken as they are needed.
            idempotency_key: As of `predict_list`.
            **options: Options of the query, such as `explain=True`.

        Yields:
            The answers in the records' order.
        """
        async for answer in self._send_parts(
            self._operations.predict_parts(idempotency_key, options), self._operations.split(records)
        ):
            yield answer

    async def predict_table(self, table: Any, idempotency_key: str | None = None, **options: bool) -> Any:
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
            answers = await self._collect(sender, parts)
        except ClientError as error:
            error.answered = tables.concatenate_answers(table, error.answered)
            raise
        return tables.concatenate_answers(table, answers)

    async def send_label(self, label: Any) -> FeedbackResponse:
        """Send what happened.

        Args:
            label: The outcome columns, with the field `prediction_id` or the columns of the key.

        Returns:
            The label's id.
        """
        return await self._send(self._operations.send_label(label))

    async def send_labels(self, labels: Iterable[Any]) -> list[FeedbackResponse]:
        """Send any number of labels, in as many requests as it takes.

        Args:
            labels: The labels, each as of `send_label`.

        Returns:
            Their ids in the same order.
        """
        return await self._collect(self._operations.label_parts(), self._operations.split(labels))

    async def review(self, prediction_id: str) -> ReviewResponse:
        """Return what has become of an answer that is `pending`; `prediction_id` is its id."""
        return await self._send(self._operations.review(prediction_id))

    async def explain(self, prediction_id: str) -> dict[str, Any]:
        """Return where the answer with the id `prediction_id` came from; takes an admin's key."""
        return await self._send(self._operations.explain(prediction_id))

    async def readiness(self) -> ReadinessResponse:
        """Return whether requests can be answered and logged; it is asked once."""
        return await self._send(self._operations.readiness())

    async def is_alive(self) -> bool:
        """Return whether the service answers at all; it is asked once."""
        try:
            return await self._send(self._operations.is_alive())
        except ServiceUnreachable:
            return False

    async def metrics(self) -> str:
        """Return the metrics in Prometheus' format; takes a key for them."""
        return await self._send(self._operations.metrics())

    async def _collect(self, sender: PartSender[Result], parts: Iterable[Part]) -> list[Result]:
        """Send parts of a list; an error carries the answers to those before."""
        answers: list[Result] = []
        try:
            async for answer in self._send_parts(sender, parts):
                answers.append(answer)  # noqa: PERF401 (those before an error are kept)
        except ClientError as error:
            error.answered = answers
            raise
        return answers

    async def _send_parts(self, sender: PartSender[Result], parts: Iterable[Part]) -> AsyncIterator[Result]:
        """Send parts of a list, and in halves those that are too large for the service; yield the answers."""
        for whole in parts:
            waiting = [whole]
            while waiting:
                part = waiting.pop()
                try:
                    answers = await self._send(sender.make_exchange(part))
                except RequestFailed as error:
                    if not isinstance(error, TooLarge) or part.n_records == 1:
                        shift_details(error, part.start)
                        raise
                    waiting += reversed(part.split())
                else:
                    for answer in answers:
                        yield answer

    async def _send(self, exchange: Exchange[Result]) -> Result:
        async with self._turns:
            exchange.begin(self._address)
            while True:
                try:
                    answer = await self._attempt(exchange)
                except httpx.RequestError as error:
                    wait: float | None = exchange.compute_wait(error)
                else:
                    wait, result = exchange.read(answer.status_code, answer.headers, answer.content)
                    if wait is None:
                        return result  # type: ignore[return-value]
                await asyncio.sleep(wait or 0.0)

    async def _attempt(self, exchange: Exchange[Result]) -> httpx.Response:
        timeout = exchange.begin_attempt()
        try:
            async with asyncio.timeout(timeout):
                return await self._http.request(
                    exchange.method, exchange.path, headers=exchange.headers, content=exchange.body, timeout=timeout
                )
        except TimeoutError as error:
            raise httpx.ReadTimeout("the answer isn't complete") from error
