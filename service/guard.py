"""What every request passes first: is it allowed, and is there room for it?"""

import asyncio
import contextlib

from service import metrics
from service.access import OPEN, Access
from service.http import CONTENT_TYPE, App, Message, Receive, Send
from service.limits import Limits
from service.refusals import Refused


def guarded(app: App, access: Access, limits: Limits) -> App:
    """The ASGI application behind keys and limits. The probes are free of both."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await app(scope, receive, send)
            return
        task = None
        try:
            access.check(scope)
            task = limits.enter()
            await app(scope, receive, send)
        except Refused as refused:
            await _refuse(send, refused)
        except asyncio.CancelledError:
            if task is None or not limits.is_late(task):
                raise
            task.uncancel()
            await _refuse(send, limits.too_late())
        finally:
            limits.leave(task)

    return serve


def may_pass(scope: Message, access: Access, limits: Limits) -> bool:
    """Would the request pass, as far as can be told before its body is there?"""
    with contextlib.suppress(Refused):
        access.check(scope)
        return not limits.reached
    return False


async def _refuse(send: Send, refused: Refused) -> None:
    """The connection ends with it: the request's body may not have been read. Too late where an answer has begun."""
    metrics.guarded.labels(str(refused.status)).inc()
    body = refused.body()
    headers = [CONTENT_TYPE, (b"content-length", b"%d" % len(body)), (b"connection", b"close"), *refused.headers]
    with contextlib.suppress(RuntimeError):
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
