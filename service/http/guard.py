"""What every request passes first: is it allowed, and is there room for it?"""

import asyncio
import contextlib

from service.http import metrics
from service.http.access import PUBLIC_PATHS, AccessControl
from service.http.asgi import JSON_HEADER, AsgiApp, Message, Receive, Send
from service.http.limits import RequestLimits
from service.http.refusals import RequestRefused


def guard_app(app: AsgiApp, access: AccessControl, limits: RequestLimits) -> AsgiApp:
    """The ASGI application behind keys and limits. The probes are free of both."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PUBLIC_PATHS:
            await app(scope, receive, send)
            return
        task = None
        try:
            access.check(scope)
            task = limits.register()
            await app(scope, receive, send)
        except RequestRefused as refused:
            await _refuse(send, refused)
        except asyncio.CancelledError:
            if task is None or not limits.is_late(task):
                raise
            task.uncancel()
            await _refuse(send, limits.build_timeout_refusal())
        finally:
            limits.release(task)

    return serve


def is_request_allowed(scope: Message, access: AccessControl, limits: RequestLimits) -> bool:
    """Would the request pass, as far as can be told before its body is there?"""
    with contextlib.suppress(RequestRefused):
        access.check(scope)
        return not limits.is_reached
    return False


async def _refuse(send: Send, refused: RequestRefused) -> None:
    """The connection ends with it: the request's body may not have been read. Too late where an answer has begun."""
    metrics.turned_away_requests.labels(str(refused.status)).inc()
    body = refused.body()
    headers = [JSON_HEADER, (b"content-length", b"%d" % len(body)), (b"connection", b"close"), *refused.headers]
    with contextlib.suppress(RuntimeError):
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
