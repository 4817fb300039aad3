"""What every request passes first: access control, and limits on the number and duration of requests in a worker."""

import asyncio
import contextlib

from service.http import metrics
from service.http.access.access_control import PUBLIC_PATHS, AccessControl
from service.http.asgi import AsgiApp, Message, Receive, Send, send_refusal
from service.http.refusals import RequestRefused

CHECKS_PER_TIMEOUT = 20  # checks for late requests within the time that a request may take

AsyncioTask = asyncio.Task[object] | None


def build_timeout_refusal(seconds: float) -> RequestRefused:
    """Return the refusal (503) for a request that took longer than `seconds`."""
    return RequestRefused(503, f"this took longer than {seconds:g} s", headers=[(b"retry-after", b"5")])


class RequestLimits:
    """Counts and times the requests in progress.

    Single records are answered as soon as they are complete; lists and slow readers add up here. Slow senders don't: a
    request is in progress once its body is complete (see service/connections/http_protocol.py).
    """

    def __init__(self, max_requests: int, timeout_seconds: float) -> None:
        """Allow at most `max_requests` at once, each for at most `timeout_seconds`."""
        self._max_requests = max_requests
        self.timeout_seconds = timeout_seconds
        self._began: dict[AsyncioTask, float] = {}
        self._late: set[AsyncioTask] = set()
        self._is_check_scheduled = False

    def register(self, arrived: float | None = None) -> AsyncioTask:
        """Register the current task as a request in progress; pass the result to `release` at its end.

        Args:
            arrived: When the request's body began to arrive, by the event loop's clock; None for now.

        Returns:
            The current asyncio task.

        Raises:
            RequestRefused: 429, as many requests as allowed are in progress.
        """
        if self.is_reached:
            message = f"{self._max_requests} requests are under way already, more than that this worker doesn't take"
            raise RequestRefused(429, message, headers=[(b"retry-after", b"1")])
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        self._began[task] = loop.time() if arrived is None else arrived
        if not self._is_check_scheduled:
            self._is_check_scheduled = True
            loop.call_later(self.timeout_seconds / CHECKS_PER_TIMEOUT, self._cancel_late)
        return task

    @property
    def is_reached(self) -> bool:
        """True while as many requests as allowed are in progress."""
        return len(self._began) >= self._max_requests

    def release(self, task: AsyncioTask) -> None:
        """Remove a request's `task` from those in progress."""
        self._began.pop(task, None)
        self._late.discard(task)

    def is_late(self, task: AsyncioTask) -> bool:
        """Check whether a task was cancelled because it took too long.

        Args:
            task: As returned by `register`.

        Returns:
            True for a task that was cancelled by this object.
        """
        return task in self._late

    def _cancel_late(self) -> None:
        """Cancel requests that take too long; schedule the next check as long as any request is in progress."""
        loop = asyncio.get_running_loop()
        for task, began in self._began.items():
            if task and task not in self._late and loop.time() - began > self.timeout_seconds:
                self._late.add(task)
                task.cancel()
        self._is_check_scheduled = bool(self._began)
        if self._is_check_scheduled:
            loop.call_later(self.timeout_seconds / CHECKS_PER_TIMEOUT, self._cancel_late)


def guard_app(app: AsgiApp, access: AccessControl, limits: RequestLimits) -> AsgiApp:
    """Put an ASGI application behind keys and limits.

    Args:
        app: The application to guard.
        access: Checks the key of each request.
        limits: Counts and times the requests; one that takes too long is answered with 503.

    Returns:
        The guarded application. The probes in `PUBLIC_PATHS` pass without key and limits.
    """

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PUBLIC_PATHS:
            await app(scope, receive, send)
            return
        task = None
        try:
            access.check(scope)
            task = limits.register(scope.get("arrived"))
            await app(scope, receive, send)
        except RequestRefused as refused:
            await _refuse(send, refused)
        except asyncio.CancelledError:
            if task is None or not limits.is_late(task):
                raise
            task.uncancel()
            await _refuse(send, build_timeout_refusal(limits.timeout_seconds))
        finally:
            limits.release(task)

    return serve


def admit_request(scope: Message, access: AccessControl) -> bool:
    """Check the access of a request whose headers are complete, before any of its body is kept.

    Args:
        scope: The request's ASGI scope; path, headers and client address are read.
        access: Checks its key.

    Returns:
        True for a peer that may go on asking, False for one that has no right to anything but this probe.

    Raises:
        RequestRefused: As `AccessControl.check` does, for all but the probes in `PUBLIC_PATHS`.
    """
    try:
        access.check(scope)
    except RequestRefused:
        if scope["path"] not in PUBLIC_PATHS:
            raise
        return False
    return True


async def _refuse(send: Send, refused: RequestRefused) -> None:
    """Send a refusal; where a response has already begun, nothing is sent."""
    metrics.turned_away_requests.labels(str(refused.status)).inc()
    with contextlib.suppress(RuntimeError):
        await send_refusal(send, refused)
