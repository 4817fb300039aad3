"""The HTTP protocol of the service: uvicorn's, with bounds on what a peer can hold and a shortcut for single records.

A request's key is checked as soon as its headers are complete, and no body is kept without one. A request is under way,
as an ASGI task or in the micro-batch, only once its body is complete. This module and service/http/bentoml_app.py rely
on undocumented parts of uvicorn; tests/service/http/test_bentoml_app.py fails where those change.
"""

import math
from asyncio import Transport
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.connections import request_head
from service.connections.body_intake import BodyIntake
from service.connections.bounds import MAX_HEAD_BYTES, MAX_HEADERS, PATIENCE_SECONDS, ConnectionBounds
from service.connections.connection_pool import ARRIVING, BUSY, IDLE, REFUSED, SENDING, ConnectionPool, ReadingCheck
from service.http import metrics
from service.http.asgi import Message, RawResponse
from service.http.refusals import RequestRefused
from service.http.requests.micro_batching import RespondCallback


class FastHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds before the key check and a shortcut for plain requests with one record.

    Such requests are answered without a task and ASGI messages, which together take as long as everything else. All
    other requests are left to uvicorn, complete. Without a key a connection has one answer, and ends.

    A subclass has what belongs to a worker: its pool and bounds, `admit`, which checks the access of a request by its
    scope, raises RequestRefused and returns whether the peer may go on asking, and its micro-batch's functions.
    """

    pool: ConnectionPool
    bounds: ConnectionBounds
    admit: Callable[[Message], bool]
    try_accept: Callable[[Message, bytes, RespondCallback], bool]
    flush: Callable[[], None]

    url = b""
    stage = ARRIVING
    deadline = math.inf
    is_leaving = False
    _head_bytes = 0  # received since the last complete request
    _dropped_bytes = 0  # received after the last request
    _is_admitted = False  # the peer may go on asking
    _is_last = False  # the request at hand, or the one before, is the last of its connection
    _is_answer_due = False  # a request waits in the micro-batch
    _refusal: RequestRefused | None = None  # ends the connection after the answers that are due

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take uvicorn's arguments; there are no web sockets."""
        self._body, self._reading = BodyIntake(self.bounds), ReadingCheck()
        super().__init__(*args, **options)
        self.ws_protocol_class = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take the connection of `transport` into the pool, where others may have to give way."""
        super().connection_made(transport)
        self.deadline = self.loop.time() + PATIENCE_SECONDS
        self.pool.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what the connection holds; `exc` is passed on to uvicorn."""
        self.pool.discard(self)
        self._body.drop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`; refuse what is no HTTP, too large, or not allowed; drop what comes after the last request."""
        if self._refusal is not None or (self._is_last and self._body.content is None):
            self._dropped_bytes += len(data)
            if self._dropped_bytes > self.bounds.compute_drain_limit(self._is_admitted):
                self.transport.abort()
            return
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._head_bytes:
                self._bound_incomplete_request()
        except httptools.HttpParserUpgrade:
            pass  # the request is answered as any other, and is the last of its connection
        except (httptools.HttpParserError, RequestRefused) as error:
            self._refuse(request_head.explain_error(error))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what a client asked before it closed its side of the connection.

        Returns:
            True to keep the connection open for an answer that is due.
        """
        if self._is_answer_due:
            self.flush()
        self._is_last = True
        self._body.drop()
        if self.stage == BUSY and self._refusal is None:
            self.cycle.keep_alive = False
        return self.stage == BUSY

    def shutdown(self) -> None:
        """Answer what waits, and the request that has begun, then let uvicorn end the connection."""
        self.flush()
        if self._body.content is None:
            super().shutdown()
        self._is_last = True

    def pause_writing(self) -> None:
        """Begin to check whether the peer reads its answer."""
        self.deadline = self.loop.time() + PATIENCE_SECONDS
        super().pause_writing()

    def on_message_begin(self) -> None:
        """Begin a request, which may be in the middle of what was received."""
        self._head_bytes = self._head_bytes or 1
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, `name` and `value`, as uvicorn does; refuse the request where there are too many."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        if len(self.headers) > MAX_HEADERS:
            raise request_head.build_head_refusal(self.url)

    def on_headers_complete(self) -> None:
        """Check size and key, and begin to collect the body.

        Raises:
            RequestRefused: The request is refused, which ends the parser (see `data_received`).
        """
        if self._is_last:
            raise RequestRefused(400, "the request before this one was the last of its connection")
        if self._is_answer_due:
            self.flush()
        if self._head_bytes > MAX_HEAD_BYTES:
            request_head.require_small_head(self.url, self.headers)
        self.scope["path"] = "/predict" if self.url == request_head.PREDICT_PATH else request_head.read_path(self.url)
        self._is_admitted = self.admit(cast(Message, self.scope))
        self._body.begin(self._is_admitted)
        if self.expect_100_continue:
            self._invite_body()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the `body`."""
        self._body.add(body)

    def on_message_complete(self) -> None:
        """Hand the complete request to the micro-batcher, or to uvicorn where that doesn't accept it."""
        self._head_bytes, self.stage, self.deadline = 0, BUSY, math.inf
        since = self._body.since
        if since:
            self.pool.release_body(self)
        body = self._body.complete()
        if self.url == request_head.PREDICT_PATH and len(body) <= request_head.MAX_FAST_BODY_BYTES and self._is_fast():
            self._is_answer_due = True
            if self.try_accept(cast(Message, self.scope), body, self._respond):
                return
            self._is_answer_due = False
        self._start_task(body, since)

    def on_response_complete(self) -> None:
        """Start the next request that waits, or wait for one; uvicorn has a timer for each answer instead."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._wait(REFUSED, PATIENCE_SECONDS)
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._send_refusal(self._refusal)
        elif self._body.content is not None:
            self._await_body()
        elif self._head_bytes:
            self._wait(ARRIVING, PATIENCE_SECONDS)
        else:
            self._wait(IDLE, self.bounds.keep_alive_seconds)

    def end_overdue(self, now: float) -> None:
        """Refuse a request that isn't complete by its deadline; close a connection that is silent or doesn't read.

        Args:
            now: The time by the event loop's clock, in seconds.
        """
        if self.stage == SENDING:
            self._refuse(self._body.build_late_refusal(now))
        elif self.stage == ARRIVING and self._head_bytes:
            self._refuse(request_head.build_late_head_refusal())
        else:
            self._reading.end_unless_read(self, self.transport, now)

    def give_way(self) -> None:
        """Close the connection at once and leave the pool; the sender of an incomplete request is told so."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        elif self._head_bytes and self._refusal is None:
            self._refuse(request_head.build_crowd_refusal())
        if self.stage != BUSY:
            self.pool.discard(self)
            self.transport.close()

    def _has_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_fast(self) -> bool:
        is_unusual = self._is_last or self.is_leaving or self.root_path or self.flow.write_paused
        return not is_unusual and self._has_answered() and request_head.is_plain_request(self.parser, self.headers)

    def _respond(self, response: RawResponse) -> None:
        self._is_answer_due = False
        self._write_response(*response)
        self.on_response_complete()

    def _write_response(self, status: int, body: bytes, headers: Any) -> None:
        lines = [b"%b: %b\r\n" % pair for pair in (*self.server_state.default_headers, *headers)]
        length = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(b"".join([STATUS_LINE[status], *lines, length, body]))

    def _start_task(self, body: bytes, since: float) -> None:
        """Let uvicorn process the complete request, whose body has been coming `since` then (0: it came at once)."""
        request_head.require_short_pipeline(len(self.pipeline))
        if self.flow.write_paused:
            self._wait(BUSY, PATIENCE_SECONDS)
        if self.is_leaving:  # as if the client had said so
            self.headers.append(request_head.CLOSE_HEADER)
        self.scope["arrived"] = since or self.loop.time()  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        is_last = self._is_last or self.is_leaving or self.parser.should_upgrade()
        keep = self.cycle.keep_alive and self._is_admitted and not is_last
        self.cycle.keep_alive, self._is_last = keep, not keep
        self.cycle.waiting_for_100_continue = False
        super().on_body(body)
        super().on_message_complete()

    def _invite_body(self) -> None:
        """Let a client send its body that waits to be told so."""
        self._body.require_small(self.headers)
        if self._has_answered():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _bound_incomplete_request(self) -> None:
        """Bound the bytes of a head, or bytes and time of a body, and set the deadline of the rest."""
        if self._body.content is None:
            if self._head_bytes > MAX_HEAD_BYTES:
                raise request_head.build_head_refusal(self.url)
            if self.stage == IDLE:
                self._wait(ARRIVING, PATIENCE_SECONDS)
            return
        self._body.require_small(self.headers)
        self._body.since = self._body.since or self.loop.time()
        if self.stage != BUSY:
            self._await_body()
        self.pool.hold_body(self, len(self._body.content))

    def _await_body(self) -> None:
        self.stage, self.deadline = SENDING, self._body.compute_deadline()

    def _wait(self, stage: int, seconds: float) -> None:
        self.stage, self.deadline = stage, self.loop.time() + seconds

    def _refuse(self, refused: RequestRefused) -> None:
        """End the connection with this refusal, after the answers that are due. Nothing is kept, or read any more."""
        metrics.turned_away_requests.labels(str(refused.status)).inc()
        self._body.drop()
        self.pool.release_body(self)
        if self._is_answer_due:
            self.flush()
        self._refusal, self._refused_method = refused.forget_frames(), self.parser.get_method()
        self.url, self.headers, self.scope = b"", [], cast(Any, {})
        self.parser = httptools.HttpRequestParser(self)  # the one before keeps what it has read
        if self._has_answered():
            self._send_refusal(refused)

    def _send_refusal(self, refused: RequestRefused) -> None:
        if self.transport.is_closing():
            return
        body = b"" if self._refused_method == b"HEAD" else refused.encode_body()
        self._write_response(refused.status, body, [request_head.CLOSE_HEADER, *refused.headers])
        self._wait(REFUSED, PATIENCE_SECONDS)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
