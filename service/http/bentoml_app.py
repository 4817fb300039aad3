"""The BentoML service as an ASGI application, with a shortcut for plain requests.

This is the only module that relies on undocumented parts of BentoML, and beside service/connections/http_protocol.py of
uvicorn; tests/service/http/test_bentoml_app.py fails where those change.
"""

import gc
import logging
import sys
from typing import Any, ClassVar

from _bentoml_impl.server.app import ContextMiddleware, ServiceAppFactory
from _bentoml_sdk.io_models import IOMixin
from _bentoml_sdk.service import set_current_service
from _bentoml_sdk.service.factory import Service
from bentoml._internal.server.base_app import BaseAppFactory
from pydantic import BaseModel, RootModel
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from uvicorn import config

from service.connections.bounds import ConnectionBounds
from service.connections.connection_pool import ConnectionPool
from service.connections.connection_share import ConnectionShare
from service.connections.http_protocol import FastHttpProtocol
from service.connections.shared_listener import make_loop_factory
from service.http import asgi, endpoints
from service.http.access import guard
from service.http.access.access_control import AccessControl
from service.http.access.guard import RequestLimits
from service.http.access.page_headers import OWN_ORIGIN_POLICY, add_page_headers
from service.http.requests.micro_batching import MicroBatcher, RespondCallback
from service.http.side_metrics import read_side_metrics

THREAD_SWITCH_SECONDS = 0.0005
YOUNG_OBJECTS = 20_000  # until garbage is collected: a list of 1,000 records has some 6,000, none of them garbage


class FastService(Service):
    """A BentoML service whose own paths bypass BentoML's middleware, for 12 times the throughput.

    The service's class has `document` (its OpenAPI document), `service_settings` (section [service]), `access` (an
    `AccessControl`) and `share`, this worker's part of the connections, or None where no others share its socket. Its
    instances are `endpoints.ServiceParts`.
    """

    def to_asgi(self, is_main: bool = True) -> Any:
        """Build the complete application: BentoML's within the service's own paths, keys and limits.

        Args:
            is_main: Passed on to BentoML: whether this is the service that was started, not a dependency of it.

        Returns:
            The ASGI application. Uvicorn's HTTP protocol is replaced by `FastHttpProtocol` on the way, and where there
            is a `share`, its event loop by one with a `SharedListener`.
        """
        factory = self._make_factory(is_main)

        async def docs(_: Request) -> JSONResponse:
            return JSONResponse(self.inner.document)

        factory.openapi_spec_view = docs
        factory.metrics = self._append_side_metrics(factory.metrics)
        access, settings = self.inner.access, self.inner.service_settings
        limits = RequestLimits(settings.max_concurrency, settings.timeout_seconds)
        batcher = MicroBatcher(lambda: factory._service_instance.predictor)
        bounds = ConnectionBounds.from_settings(settings)
        share = self.inner.share
        config.HTTP_PROTOCOLS["auto"] = _bind_protocol(bounds, share, access, limits, batcher)  # type: ignore[assignment]
        if share:
            config.LOOP_FACTORIES["auto"] = make_loop_factory(share)  # type: ignore[assignment]
        rest = add_page_headers(factory(), OWN_ORIGIN_POLICY)
        paths = endpoints.build_asgi_app(rest, lambda: factory._service_instance, settings.max_body_bytes)
        return guard.guard_app(paths, access, limits)

    def _append_side_metrics(self, bentoml_metrics: Any) -> Any:
        """Return the view of `/metrics`: BentoML's text, with the metrics of the processes beside the workers."""

        async def metrics(request: Request) -> Response:
            response, beside = await bentoml_metrics(request), read_side_metrics(self.inner.service_settings)
            return Response(response.body + beside, media_type=response.media_type)

        return metrics

    def to_plain_asgi(self) -> Any:
        """Return BentoML's application alone, with its own route to `/predict`, for comparison."""
        return self._make_factory(True)()

    def _make_factory(self, is_main: bool) -> "LeanAppFactory":
        self.inject_config()
        factory = LeanAppFactory(self, is_main=is_main)
        factory.timeout = None  # BentoML never cancels its timers: memory would grow with every request
        factory.enable_metrics = False  # keeps /metrics, without a series for every path that anybody requests
        return factory


class LeanAppFactory(ServiceAppFactory):
    """BentoML's application without OpenTelemetry and a client of itself, whose libraries a worker would load in vain:
    the service traces no requests, and calls none of its own APIs."""

    @property
    def middlewares(self) -> list[Middleware]:
        """BentoML's limits, which the service switches off, and the context of its APIs."""
        limits = BaseAppFactory.middlewares.fget(self)  # type: ignore[attr-defined]
        return [*limits, Middleware(ContextMiddleware, context=self.service.context)]

    async def create_instance(self, app: Any) -> None:
        """Create the service's parts and start their tasks; `app` is BentoML's application."""
        self._service_instance = self.service()
        await self._service_instance.start()
        set_current_service(self._service_instance)

    async def destroy_instance(self, app: Any) -> None:
        """Stop what `create_instance` started; `app` is BentoML's application."""
        await self._service_instance.stop()
        self._service_instance = None
        set_current_service(None)


class RequestBody(IOMixin, RootModel[Any]):
    """The request that BentoML hands to an API, unread: `answer_request` reads it as on the service's own path.

    BentoML's clients send any value as it is. `described` is a root model whose JSON schema is shown for this one.
    """

    described: ClassVar[type[BaseModel]]

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> "RequestBody":
        """Return the body of `request`, unread; `serde` is not used."""
        return cls.model_construct(root=request)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        """Return the JSON schema of `described`, whatever `core_schema` is."""
        schema = handler.resolve_ref_schema(handler(cls.described.__pydantic_core_schema__))
        replace_any_of(schema)
        return {**schema, "title": "Body"}


def replace_any_of(json_schema: dict[str, Any]) -> None:
    """Write `oneOf` for `anyOf` in `json_schema`: BentoML keeps only the first alternative of the latter."""
    json_schema["oneOf"] = json_schema.pop("anyOf")


async def answer_request(endpoint: endpoints.Endpoint, body: RequestBody, max_body_bytes: int) -> Response:
    """Answer a request that came through BentoML's own route.

    Args:
        endpoint: What answers.
        body: The body, as BentoML gave it to the API.
        max_body_bytes: Larger bodies are refused.

    Returns:
        The response, refusals included: the same as on the service's own path.
    """
    request: Request = body.root
    status, content, headers = await endpoints.answer_post(endpoint, max_body_bytes, request.scope, request.receive)
    response = Response(content, status)
    response.raw_headers.extend(headers if asgi.ARROW_HEADER in headers else (asgi.JSON_HEADER, *headers))
    return response


def _bind_protocol(
    connection_bounds: ConnectionBounds,
    share: ConnectionShare | None,
    access: AccessControl,
    limits: RequestLimits,
    batcher: MicroBatcher,
) -> type[FastHttpProtocol]:
    class BoundHttpProtocol(FastHttpProtocol):
        bounds, pool, flush = connection_bounds, ConnectionPool(connection_bounds, share), batcher.flush

        @staticmethod
        def admit(scope: asgi.Message) -> bool:
            return guard.admit_request(scope, access)

        @staticmethod
        def try_accept(scope: asgi.Message, body: bytes, respond: RespondCallback) -> bool:
            return not limits.is_reached and batcher.try_accept(scope["headers"], body, respond)

    return BoundHttpProtocol


def tune_worker() -> None:
    """Keep garbage collection, the access log and scoring threads out of the fast path. Call it once all is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    logging.getLogger("uvicorn.access").propagate = False  # uvicorn builds no log lines without a handler
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
