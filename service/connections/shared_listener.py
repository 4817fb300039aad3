"""The listening socket that all workers share: each takes a connection only where no other has fewer.

The kernel wakes the workers in the same order each time, so that the first of them would take all that come one by one:
of the handful of connections that a load balancer keeps, one worker had nearly all, and answered nearly every request.
"""

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Any

import uvloop

from service.connections.connection_share import ConnectionShare

STEP_BACK_SECONDS = 0.001  # until a worker with more connections looks again
PATIENCE_SECONDS = 0.05  # until it takes what still waits, as the others may be busy, or hang

ProtocolFactory = Callable[[], asyncio.Protocol]


class SharedListener:
    """Accepts the connections of one worker. What no worker has accepted yet waits in the kernel, and is lost with
    none of them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        make_protocol: ProtocolFactory,
        share: ConnectionShare,
    ) -> None:
        """Listen on a socket from now on, and give each connection a protocol."""
        self._loop = loop
        self._listening = listening
        self._make_protocol = make_protocol
        self._share = share
        self._joining: set[asyncio.Task[Any]] = set()  # connections that have no protocol yet
        self._waiting_since: float | None = None  # there is a connection that another worker is to take
        self._timer: asyncio.TimerHandle | None = None
        self._poll = select.poll()
        self._poll.register(listening, select.POLLIN)
        listening.setblocking(False)
        share.join(self._look_again)
        loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Accept no more connections."""
        self._share.leave()
        self._loop.remove_reader(self._listening)
        if self._timer:
            self._timer.cancel()

    async def wait_closed(self) -> None:
        """Wait for connections that have no protocol yet."""
        await asyncio.gather(*self._joining, return_exceptions=True)

    def _accept(self) -> None:
        """Accept a connection, unless another worker has fewer that could take it; called as long as one waits."""
        if self._share.may_take(len(self._joining)):
            self._waiting_since = None
        elif not self._has_waited():
            self._step_back()
            return
        try:
            connection, _ = self._listening.accept()
        except BlockingIOError:  # another worker has taken it
            return
        except OSError:  # it has ended, or there is no handle for it
            self._step_back()
            return
        connection.setblocking(False)
        joining = self._loop.create_task(self._loop.connect_accepted_socket(self._make_protocol, connection))
        self._joining.add(joining)
        joining.add_done_callback(self._joining.discard)

    def _has_waited(self) -> bool:
        return self._waiting_since is not None and self._loop.time() - self._waiting_since > PATIENCE_SECONDS

    def _step_back(self) -> None:
        """Leave what waits to others for a moment."""
        self._waiting_since = self._waiting_since or self._loop.time()
        self._loop.remove_reader(self._listening)
        self._timer = self._loop.call_later(STEP_BACK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        """Wait for connections again, as others had their time, or one of this worker's has ended."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
            if not self._poll.poll(0):
                self._waiting_since = None
            self._loop.add_reader(self._listening, self._accept)


def make_loop_factory(share: ConnectionShare) -> Callable[..., Callable[[], asyncio.AbstractEventLoop]]:
    """Return what uvicorn makes an event loop with that accepts by `SharedListener`.

    Args:
        share: The share of this worker.

    Returns:
        A function, of options that are ignored, that returns the factory of the loop.
    """

    class SharingLoop(uvloop.Loop):
        async def create_server(  # type: ignore[override]
            self, make_protocol: ProtocolFactory, *, sock: socket.socket, **_: Any
        ) -> SharedListener:
            return SharedListener(self, sock, make_protocol, share)

    return lambda **_: SharingLoop
