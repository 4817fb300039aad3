"""The connections of a worker: how many there are, how long each may wait, and which give way to new ones."""

import asyncio
import heapq
import math
from asyncio import Transport
from typing import Protocol

from service.connections.bounds import (
    CROWD_FACTOR,
    MAX_HELD_BODIES,
    MIN_BYTES_PER_SECOND,
    PATIENCE_SECONDS,
    ConnectionBounds,
)
from service.connections.connection_share import ConnectionShare, share_connections
from service.http import metrics

REFUSED, ARRIVING, IDLE, SENDING, BUSY = range(5)
"""Stages of a connection, in the order in which they give way: refused or closing; without a request, or amid its
headers; between two requests; amid a body; and with a request under way, which never gives way."""

SWEEP_SECONDS = 0.25
CROWD_SECONDS = 0.02  # until others give way to new connections, which by then have sent what they wanted
CROWD_SHARE = 16  # one in so many ends at once where there are too many even for a moment


class PooledConnection(Protocol):
    """A connection: its stage, and until when it may stay in it, by the event loop's clock in seconds.

    One that `is_leaving` ends with its next answer.
    """

    stage: int
    deadline: float
    is_leaving: bool

    def end_overdue(self, now: float) -> None:
        """End the connection, or what it is amid, as its deadline is over at `now`."""

    def give_way(self) -> None:
        """Close the connection at once and leave the pool, so that another one has its place."""


class ConnectionPool:
    """The connections of one worker.

    Where there are too many, those that have been silent longest give way, strangers first. So a new connection is
    always accepted, and a probe always answered: it has its answer before it is its turn.
    """

    def __init__(self, bounds: ConnectionBounds, share: ConnectionShare | None = None) -> None:
        """Bound connections by `max_connections`, and incomplete bodies by `MAX_HELD_BODIES` of `max_body_bytes`.

        By `share` other workers, if there are any, learn the number of connections.
        """
        self._max_connections = bounds.max_connections
        self._max_held_bytes = MAX_HELD_BODIES * bounds.max_body_bytes
        self._connections: dict[PooledConnection, None] = {}  # the oldest first
        self._held: dict[PooledConnection, int] = {}
        self._held_bytes = 0
        self._is_sweeping = self._is_crowded = False
        self._share = share or share_connections(1)[0]
        self._surplus = 0

    def add(self, connection: PooledConnection) -> None:
        """Add a new connection; where there are too many, others give way to it."""
        self._connections[connection] = None
        self._share.publish(len(self._connections))
        if not self._is_sweeping:
            self._is_sweeping = True
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        excess = len(self._connections) - self._max_connections
        if excess > (CROWD_FACTOR - 1) * self._max_connections:
            self._end_longest_silent(len(self._connections) // CROWD_SHARE)
        elif excess > 0 and not self._is_crowded:
            self._is_crowded = True
            asyncio.get_running_loop().call_later(CROWD_SECONDS, self._make_room)

    def discard(self, connection: PooledConnection) -> None:
        """Forget a connection that is closed, or about to be."""
        self._connections.pop(connection, None)
        self._share.publish(len(self._connections))
        self.release_body(connection)

    def hold_body(self, connection: PooledConnection, size: int) -> None:
        """Note how much of an incomplete body there is; where all hold too much, the slowest sender gives way.

        Args:
            connection: The sender's connection.
            size: The bytes received so far.
        """
        self._held_bytes += size - self._held.get(connection, 0)
        self._held[connection] = size
        if self._held_bytes > self._max_held_bytes:
            self._end(min(self._held, key=lambda held: held.deadline))

    def release_body(self, connection: PooledConnection) -> None:
        """Forget the body of a connection, as it is complete or dropped."""
        self._held_bytes -= self._held.pop(connection, 0)

    def _make_room(self) -> None:
        self._is_crowded = False
        self._end_longest_silent(len(self._connections) - self._max_connections)

    def _end_longest_silent(self, count: int) -> None:
        waiting = [each for each in self._connections if each.stage < BUSY]
        for connection in heapq.nsmallest(count, waiting, key=lambda each: (each.stage, each.deadline)):
            self._end(connection)

    def _end(self, connection: PooledConnection) -> None:
        metrics.crowded_connections.inc()
        connection.give_way()

    def _sweep(self) -> None:
        """End what is overdue; again as long as there are any connections."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [each for each in self._connections if each.deadline < now]:
            connection.end_overdue(now)
        self._let_surplus_leave()
        self._is_sweeping = bool(self._connections)
        if self._is_sweeping:
            loop.call_later(SWEEP_SECONDS, self._sweep)

    def _let_surplus_leave(self) -> None:
        """Let connections end with their next answer where this worker has had too many for two sweeps, those that
        spoke last: their clients connect again, and another worker takes them."""
        before, self._surplus = self._surplus, self._share.compute_surplus()
        if before or self._surplus:
            count = min(before, self._surplus)
            leaving = heapq.nlargest(count, self._connections, key=lambda each: each.deadline)
            for connection in self._connections:
                connection.is_leaving = connection in leaving


class ReadingCheck:
    """Checks whether the peer of one connection goes on reading its answers."""

    def __init__(self) -> None:
        self._unread: float = math.inf

    def end_unless_read(self, connection: PooledConnection, transport: Transport, now: float) -> None:
        """Close a connection that is silent, or whose peer reads fewer than `MIN_BYTES_PER_SECOND` of its answers.

        Args:
            connection: The connection, whose deadline is over. It gets a new one where the peer does read.
            transport: Its transport.
            now: The time by the event loop's clock, in seconds.
        """
        unread, before = transport.get_write_buffer_size(), self._unread
        self._unread = unread or math.inf
        if unread and before - unread < MIN_BYTES_PER_SECOND * PATIENCE_SECONDS:
            transport.abort()
        elif unread:
            connection.deadline = now + PATIENCE_SECONDS
        elif connection.stage == BUSY:
            connection.deadline = math.inf
        else:
            transport.close()
