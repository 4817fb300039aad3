"""How many requests may be under way in a worker, and for how long."""

import asyncio

from service.http.refusals import RequestRefused

CHECKS_PER_TIMEOUT = 20  # so often within the time that a request may take is looked for those that take longer

AsyncioTask = asyncio.Task[object] | None


class RequestLimits:
    """Counts requests while they are under way. A single record is answered as soon as it is there: it is lists, slow
    senders and slow readers that add up."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._under_way: dict[AsyncioTask, float] = {}
        self._late: set[AsyncioTask] = set()
        self._looking = False

    def register(self) -> AsyncioTask:
        """To be called by a request's task, and `release` at its end. Raises Refused where too many are under way."""
        if self.is_reached:
            busy = f"{self._most} requests are under way already, more than that this worker doesn't take"
            raise RequestRefused(429, busy, headers=[(b"retry-after", b"1")])
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        self._under_way[task] = loop.time()
        if not self._looking:
            self._looking = True
            loop.call_later(self._seconds / CHECKS_PER_TIMEOUT, self._cancel_late)
        return task

    @property
    def is_reached(self) -> bool:
        return len(self._under_way) >= self._most

    def release(self, task: AsyncioTask) -> None:
        self._under_way.pop(task, None)
        self._late.discard(task)

    def is_late(self, task: AsyncioTask) -> bool:
        """Was the task cancelled because it took too long?"""
        return task in self._late

    def build_timeout_refusal(self) -> RequestRefused:
        """What to tell the client then."""
        return RequestRefused(503, f"this took longer than {self._seconds:g} s", headers=[(b"retry-after", b"5")])

    def _cancel_late(self) -> None:
        """Cancel what has been under way for too long; look again as long as there is anything."""
        loop = asyncio.get_running_loop()
        for task, began in self._under_way.items():
            if task and task not in self._late and loop.time() - began > self._seconds:
                self._late.add(task)
                task.cancel()
        self._looking = bool(self._under_way)
        if self._looking:
            loop.call_later(self._seconds / CHECKS_PER_TIMEOUT, self._cancel_late)
