"""The one place that relies on what BentoML doesn't document: how a service becomes an ASGI application."""

import gc
import logging
import sys
from typing import Any

from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.service.factory import Service
from starlette.requests import Request
from starlette.responses import JSONResponse

from service import guard, http
from service.limits import Limits

SWITCH_SECONDS = 0.0005


class FastService(Service):
    """A BentoML service whose own paths bypass BentoML's middleware (12 times the throughput).

    The service's class has `document` (its OpenAPI document), `max_body_bytes`, `access` and `limits` (what
    `limits.Limits` takes), its instances are `http.Parts`.
    """

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application within ours."""
        factory = self._factory(is_main)

        async def docs(_: Request) -> JSONResponse:
            return JSONResponse(self.inner.document)

        factory.openapi_spec_view = docs
        paths = http.app(factory(), lambda: factory._service_instance, self.inner.max_body_bytes)
        return guard.guarded(paths, self.inner.access, Limits(*self.inner.limits))

    def plain_asgi(self) -> Any:
        """BentoML's application alone, with its own way to `/predict`, for comparison."""
        return self._factory(True)()

    def _factory(self, is_main: bool) -> ServiceAppFactory:
        self.inject_config()
        factory = ServiceAppFactory(self, is_main=is_main)
        factory.timeout = None  # its timers are never cancelled: memory grows with every request
        factory.enable_metrics = False  # leaves /metrics, drops a series for every path that anybody asks for
        return factory


def settle() -> None:
    """After loading: keep the garbage collector, the access log and threads that score lists out of the fast path."""
    gc.collect()
    gc.freeze()
    logging.getLogger("uvicorn.access").propagate = False  # with nobody to hear them uvicorn builds no log lines
    sys.setswitchinterval(SWITCH_SECONDS)
