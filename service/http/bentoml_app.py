"""The one place that relies on what BentoML and uvicorn don't document: how a service becomes an ASGI application, and
how one record is answered without the price of one (tests/service/http/test_bentoml_app.py fails where that changes)."""

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
from service.http.limits import RequestLimits
from service.http.micro_batching import MicroBatcher, RespondCallback

THREAD_SWITCH_SECONDS = 0.0005
PREDICT_PATH = b"/predict"
MAX_FAST_BODY_BYTES = 65536  # bytes of a body that is kept in one piece here
BODY_WAIT_SECONDS = 1.0  # seconds that its rest is waited for here
SLOW_PATH_HEADERS = frozenset([b"x-forwarded-for", b"x-forwarded-proto", b"transfer-encoding"])

TryAccept = Callable[[asgi.Message, bytes, RespondCallback], bool]


class FastService(Service):
    """A BentoML service whose own paths bypass BentoML's middleware (12 times the throughput).

    The service's class has `document` (its OpenAPI document), `max_body_bytes`, `access` and `limits` (what
    `limits.Limits` takes) and `metrics_file` (see service/shadow/metrics_file.py), its instances are `http.Parts`.
    """

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application within ours."""
        factory = self._factory(is_main)

        async def docs(_: Request) -> JSONResponse:
            return JSONResponse(self.inner.document)

        factory.openapi_spec_view = docs
        factory.metrics = self._metrics(factory.metrics)
        access, limits = self.inner.access, RequestLimits(*self.inner.limits)
        batcher = MicroBatcher(lambda: factory._service_instance.predictor)

        def try_accept(scope: asgi.Message, body: bytes, respond: RespondCallback) -> bool:
            return guard.is_request_allowed(scope, access, limits) and batcher.try_accept(
                scope["headers"], body, respond
            )

        config.HTTP_PROTOCOLS["auto"] = _make_fast_protocol(try_accept, batcher.flush)  # type: ignore[assignment]
        paths = asgi.build_asgi_app(factory(), lambda: factory._service_instance, self.inner.max_body_bytes)
        return guard.guard_app(paths, access, limits)

    def _metrics(self, own: Any) -> Any:
        """`/metrics`, with what the shadow left of its own in a file."""

        async def metrics(request: Request) -> Response:
            response = await own(request)
            more = self.inner.metrics_file.read_bytes() if self.inner.metrics_file.exists() else b""
            return Response(response.body + more, media_type=response.media_type)

        return metrics

    def to_plain_asgi(self) -> Any:
        """BentoML's application alone, with its own way to `/predict`, for comparison."""
        return self._factory(True)()

    def _factory(self, is_main: bool) -> ServiceAppFactory:
        self.inject_config()
        factory = ServiceAppFactory(self, is_main=is_main)
        factory.timeout = None  # its timers are never cancelled: memory grows with every request
        factory.enable_metrics = False  # leaves /metrics, drops a series for every path that anybody asks for
        return factory


class FastHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but plain requests with one record are answered without a task and ASGI's messages, which
    batcher take as long as everything else. All other requests go uvicorn's own way."""

    try_accept: TryAccept
    flush: Callable[[], None]
    _owing = False  # the answer to the request before
    _whole: bytes | None = None  # the body so far of a request that may be plain
    _waiting: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._whole is not None and self._waiting is None:
            self._waiting = self.loop.call_later(
                BODY_WAIT_SECONDS, self._hand_to_uvicorn
            )  # to where requests are counted and timed

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_body()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        if self._owing:
            self.flush()
        if self.url == PREDICT_PATH and self._is_plain():
            self.scope["path"] = "/predict"
            self._whole = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._whole is None:
            super().on_body(body)
            return
        self._whole += body
        if len(self._whole) > MAX_FAST_BODY_BYTES:
            self._hand_to_uvicorn()

    def on_message_complete(self) -> None:
        if self._whole is not None:
            self._owing = True
            if self.try_accept(cast(asgi.Message, self.scope), self._whole, self._respond):
                self._drop_body()
                return
            self._owing = False
            self._hand_to_uvicorn()
        super().on_message_complete()

    def shutdown(self) -> None:
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
        """Let uvicorn begin with the request after all."""
        if self._whole is not None:
            body = self._whole
            self._drop_body()
            super().on_headers_complete()
            super().on_body(body)

    def _drop_body(self) -> None:
        self._whole = None
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _respond(self, response: asgi.RawResponse) -> None:
        self._owing = False
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
    """After loading: keep the garbage collector, the access log and threads that score lists out of the fast path."""
    gc.collect()
    gc.freeze()
    logging.getLogger("uvicorn.access").propagate = False  # with nobody to hear them uvicorn builds no log lines
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
