"""Connections are spread evenly over the workers of one listening socket, and wait for none that can't take them."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from service.connections.connection_share import ConnectionShare, share_connections
from service.connections.shared_listener import make_loop_factory
from service.processes.workers import inheritance
from tests.helpers.servers import local_service, raw_http
from tests.helpers.servers.local_service import wait_until


class Worker:
    """An event loop in a thread, which takes connections from a socket as a worker does; `held` are those it has."""

    def __init__(self, share: ConnectionShare, listening: socket.socket) -> None:
        self.held: list[asyncio.BaseTransport] = []
        self.listening = listening
        self.loop = make_loop_factory(share)()()
        held = self.held

        class Holding(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport
                held.append(transport)
                share.publish(len(held))

            def connection_lost(self, error: Exception | None) -> None:
                held.remove(self.transport)
                share.publish(len(held))

        self.server: Any = self.loop.run_until_complete(self.loop.create_server(Holding, sock=listening))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def call(self, function: Any) -> None:
        self.loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end_connections(), self.loop).result(30)
        self.call(self.loop.stop)
        self.thread.join(30)
        assert not self.thread.is_alive()  # a loop that runs can't be closed: that would wait forever
        self.loop.close()
        self.listening.close()

    async def _end_connections(self) -> None:
        """End all connections, those too that were accepted and are not held yet: with one, the end of a loop hangs."""
        self.server.close()
        await self.server.wait_closed()
        for transport in [*self.held]:
            transport.abort()  # type: ignore[attr-defined]
        while self.held:
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def run_workers(count: int) -> Iterator[tuple[list[Worker], contextlib.ExitStack, int]]:
    """Workers, a stack for their clients, and the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening, contextlib.ExitStack() as clients:
        workers = [Worker(share, listening.dup()) for share in share_connections(count)]
        try:
            yield workers, clients, listening.getsockname()[1]
        finally:
            for worker in workers:
                worker.stop()


def connect(clients: contextlib.ExitStack, port: int) -> socket.socket:
    return clients.enter_context(socket.create_connection(("127.0.0.1", port), 5))


@pytest.mark.parametrize(("count", "connections"), [(2, 2), (2, 7), (3, 3), (3, 10)])
@pytest.mark.parametrize("one_by_one", [True, False])
def test_connections_are_spread_evenly_whatever_their_number(count: int, connections: int, one_by_one: bool) -> None:
    with run_workers(count) as (workers, clients, port):
        for number in range(connections):
            connect(clients, port)
            if one_by_one:
                wait_until(lambda number=number: sum(len(each.held) for each in workers) == number + 1)
        wait_until(lambda: sum(len(each.held) for each in workers) == connections)
        assert max(len(each.held) for each in workers) - min(len(each.held) for each in workers) <= 1


def test_a_worker_whose_connections_end_takes_the_next_ones() -> None:
    with run_workers(2) as (workers, clients, port):
        for _ in range(6):
            connect(clients, port)
        wait_until(lambda: [len(each.held) for each in workers] == [3, 3])
        workers[0].call(lambda: [transport.abort() for transport in list(workers[0].held)])  # type: ignore[attr-defined]
        wait_until(lambda: not workers[0].held)
        for _ in range(3):
            connect(clients, port)
        wait_until(lambda: [len(each.held) for each in workers] == [3, 3])


def test_what_a_worker_that_hangs_does_not_take_others_do() -> None:
    begins, ends = threading.Event(), threading.Event()
    with run_workers(2) as (workers, clients, port):
        workers[0].call(lambda: (begins.set(), ends.wait()))
        assert begins.wait(30)
        try:
            for _ in range(8):
                connect(clients, port)
            wait_until(lambda: len(workers[1].held) == 8)
        finally:
            ends.set()


def test_a_worker_that_stops_takes_none_and_others_do_not_wait_for_it() -> None:
    with run_workers(2) as (workers, clients, port):
        closed = threading.Event()
        workers[0].call(lambda: (workers[0].server.close(), closed.set()))
        assert closed.wait(30)
        for _ in range(5):
            connect(clients, port)
        wait_until(lambda: len(workers[1].held) == 5)
        assert not workers[0].held


@given(counts=st.lists(st.integers(0, 40) | st.none(), min_size=1, max_size=5))
def test_somebody_always_takes_a_connection_and_nobody_who_has_far_more_than_another(counts: list[int | None]) -> None:
    shares = share_connections(len(counts))
    for share, count in zip(shares, counts, strict=True):
        if count is not None:
            share.join(lambda: None)
            share.publish(count)
    serving = {share: count for share, count in zip(shares, counts, strict=True) if count is not None}
    least = min(serving.values(), default=0)
    for share, count in serving.items():
        assert share.may_take(0) is (count - count // 8 <= least)
        assert share.may_take(1) is (len(serving) == 1 or count + 1 - (count + 1) // 8 <= min(
            other for each, other in serving.items() if each is not share
        ))  # fmt: skip


@given(counts=st.lists(st.integers(0, 300), min_size=2, max_size=5))
def test_what_workers_let_go_leaves_none_with_far_more_than_another(counts: list[int]) -> None:
    shares = share_connections(len(counts))
    for share in shares:
        share.join(lambda: None)
    for _ in range(400):
        for share, count in zip(shares, counts, strict=True):
            share.publish(count)
        surplus = [share.compute_surplus() for share in shares]
        if not any(surplus):
            break
        counts = [count - gone for count, gone in zip(counts, surplus, strict=True)]
        for _ in range(sum(surplus)):  # who connects again comes to whoever has fewest
            counts[counts.index(min(counts))] += 1
    assert max(counts) - min(counts) <= max(1, max(counts) // 4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic
@pytest.mark.parametrize("body", [raw_http.BODY, b"[%b]" % raw_http.BODY], ids=["a record", "a list"])
def test_a_worker_with_far_more_connections_ends_one_with_its_answer(tmp_path: Path, body: bytes) -> None:
    local_service.deploy_version(tmp_path, "1")
    own, other = share_connections(2)
    request = raw_http.encode_request(body, Authorization=f"Bearer {raw_http.KEY}")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as clients:
        patch.setattr(inheritance, "inherited", inheritance.WorkerInheritance((), own))
        patch.setitem(uvicorn.config.LOOP_FACTORIES, "auto", uvicorn.config.LOOP_FACTORIES["auto"])  # restores it
        port = clients.enter_context(raw_http.run_impatient_server(tmp_path, keep_alive_seconds=60))
        held = [connect(clients, port) for _ in range(3)]

        def ask_all() -> list[bytes]:
            for client in held:
                client.sendall(request)
            return [client.recv(65536) for client in held]

        assert all(answer.startswith(b"HTTP/1.1 200") and b"connection: close" not in answer for answer in ask_all())
        other.join(lambda: None)
        other.publish(1)
        answers: list[bytes] = []

        def is_one_leaving() -> bool:
            answers[:] = ask_all()
            return any(b"connection: close" in answer for answer in answers)

        wait_until(is_one_leaving)
        assert [answer.startswith(b"HTTP/1.1 200") for answer in answers] == [True] * 3
        (leaving,) = [client for client, answer in zip(held, answers, strict=True) if b"connection: close" in answer]
        assert leaving.recv(1) == b""
