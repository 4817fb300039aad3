"""The BentoML service as an ASGI application, with a shortcut for plain requests.

This is the only module that relies on undocumented parts of BentoML and uvicorn; tests/service/http/test_bentoml_app.py
fails where those change.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from typing import Any, cast

from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.service.factory import Service
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from uvicorn import config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.http import asgi, guard
from service.http.guard import RequestLimits
from service.http.micro_batching import MicroBatcher, RespondCallback

THREAD_SWITCH_SECONDS = 0.0005
PREDICT_PATH = b"/predict"
MAX_FAST_BODY_BYTES = 65536  # larger bodies are left to uvicorn
BODY_WAIT_SECONDS = 1.0  # for the rest of a body, until the request is left to uvicorn
SLOW_PATH_HEADERS = frozenset([b"x-forwarded-for", b"x-forwarded-proto", b"transfer-encoding"])

TryAccept = Callable[[asgi.Message, bytes, RespondCallback], bool]


class FastService(Service):
    """A BentoML service whose own paths bypass BentoML's middleware, for 12 times the throughput.

    The service's class has `document` (its OpenAPI document), `max_body_bytes`, `access` (an `AccessControl`), `limits`
    (arguments of `guard.RequestLimits`) and `metrics_file` (see service/shadow/metrics_file.py). Its instances are
    `asgi.ServiceParts`.
    """

    def to_asgi(self, is_main: bool = True) -> Any:
        """Build the complete application: BentoML's within the service's own paths, keys and limits.

        Args:
            is_main: Passed on to BentoML: whether this is the service that was started, not a dependency of it.

        Returns:
            The ASGI application. Uvicorn's HTTP protocol is replaced by `FastHttpProtocol` on the way.
        """
        factory = self._make_factory(is_main)

        async def docs(_: Request) -> JSONResponse:
            return JSONResponse(self.inner.document)

        factory.openapi_spec_view = docs
        factory.metrics = self._append_shadow_metrics(factory.metrics)
        access, limits = self.inner.access, RequestLimits(*self.inner.limits)
        batcher = MicroBatcher(lambda: factory._service_instance.predictor)

        def try_accept(scope: asgi.Message, body: bytes, respond: RespondCallback) -> bool:
            return guard.is_request_allowed(scope, access, limits) and batcher.try_accept(
                scope["headers"], body, respond
            )

        config.HTTP_PROTOCOLS["auto"] = _make_fast_protocol(try_accept, batcher.flush)  # type: ignore[assignment]
        paths = asgi.build_asgi_app(factory(), lambda: factory._service_instance, self.inner.max_body_bytes)
        return guard.guard_app(paths, access, limits)

    def _append_shadow_metrics(self, bentoml_metrics: Any) -> Any:
        """Return the view of `/metrics`: BentoML's text, with the metrics that the shadow process left in a file."""

        async def metrics(request: Request) -> Response:
            response = await bentoml_metrics(request)
            shadow_metrics = self.inner.metrics_file.read_bytes() if self.inner.metrics_file.exists() else b""
            return Response(response.body + shadow_metrics, media_type=response.media_type)

        return metrics

    def to_plain_asgi(self) -> Any:
        """Return BentoML's application alone, with its own route to `/predict`, for comparison."""
        return self._make_factory(True)()

    def _make_factory(self, is_main: bool) -> ServiceAppFactory:
        self.inject_config()
        factory = ServiceAppFactory(self, is_main=is_main)
        factory.timeout = None  # BentoML never cancels its timers: memory would grow with every request
        factory.enable_metrics = False  # keeps /metrics, without a series for every path that anybody requests
        return factory


class FastHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a shortcut: plain requests with one record are answered without a task and ASGI messages.

    Task and messages together take as long as everything else. All other requests are left to uvicorn.
    """

    try_accept: TryAccept
    flush: Callable[[], None]
    _is_answer_due = False  # the previous request on this connection waits for its answer
    _body: bytes | None = None  # the body so far of a plain request
    _body_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Parse `data`; leave a request whose body stays away to uvicorn, where requests are counted and timed."""
        super().data_received(data)
        if self._body is not None and self._body_timer is None:
            self._body_timer = self.loop.call_later(BODY_WAIT_SECONDS, self._hand_to_uvicorn)

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop a half-received body; `exc` is passed on to uvicorn."""
        self._drop_body()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Begin to collect the body of a plain POST to /predict; leave all other requests to uvicorn."""
        if self._is_answer_due:
            self.flush()
        if self.url == PREDICT_PATH and self._is_plain():
            self.scope["path"] = "/predict"
            self._body = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Collect a part of the `body`; leave one that grows beyond `MAX_FAST_BODY_BYTES` to uvicorn."""
        if self._body is None:
            super().on_body(body)
            return
        self._body += body
        if len(self._body) > MAX_FAST_BODY_BYTES:
            self._hand_to_uvicorn()

    def on_message_complete(self) -> None:
        """Hand the complete request to the micro-batcher, or to uvicorn where that doesn't accept it."""
        if self._body is not None:
            self._is_answer_due = True
            if self.try_accept(cast(asgi.Message, self.scope), self._body, self._respond):
                self._drop_body()
                return
            self._is_answer_due = False
            self._hand_to_uvicorn()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Answer what waits, then let uvicorn end the connection."""
        self.flush()
        self._hand_to_uvicorn()
        super().shutdown()

    def _is_plain(self) -> bool:
        parser, cycle = self.parser, self.cycle
        return (
            (cycle is None or cycle.response_complete)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not (self.expect_100_continue or self.root_path or self.flow.write_paused)
            and SLOW_PATH_HEADERS.isdisjoint(dict(self.headers))
        )

    def _hand_to_uvicorn(self) -> None:
        """Let uvicorn process the request from its headers on."""
        if self._body is not None:
            body = self._body
            self._drop_body()
            super().on_headers_complete()
            super().on_body(body)

    def _drop_body(self) -> None:
        self._body = None
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _respond(self, response: asgi.RawResponse) -> None:
        self._is_answer_due = False
        status, body, headers = response
        lines = [b"%b: %b\r\n" % pair for pair in (*self.server_state.default_headers, *headers)]
        length = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(b"".join([STATUS_LINE[status], *lines, length, body]))
        self.on_response_complete()


def _make_fast_protocol(try_accept: TryAccept, flush: Callable[[], None]) -> type[FastHttpProtocol]:
    return type(
        "BoundFastHttpProtocol",
        (FastHttpProtocol,),
        {"try_accept": staticmethod(try_accept), "flush": staticmethod(flush)},
    )


def tune_worker() -> None:
    """Keep garbage collection, the access log and scoring threads out of the fast path. Call it once all is loaded."""
    gc.collect()
    gc.freeze()
    logging.getLogger("uvicorn.access").propagate = False  # uvicorn builds no log lines without a handler
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
