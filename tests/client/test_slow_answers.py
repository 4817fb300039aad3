"""The client against a service that answers slowly, badly, or not to many at a time."""

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

from penumbra.client import (
    AsyncClient,
    Client,
    ClientError,
    InvalidRecord,
    InvalidRequest,
    RetryPolicy,
    ServiceUnreachable,
    TooLarge,
)
from penumbra.client.tables import ArrowPart
from tests.helpers.servers.small_server import serve_in_thread

ANSWER = b'{"prediction_id":"a","model_version":"1"}'
HASTY = RetryPolicy(deadline_seconds=0.4)
PATIENT = RetryPolicy(deadline_seconds=30)


class Handler(BaseHTTPRequestHandler):
    """Answers by what the record says."""

    protocol_version = "HTTP/1.1"
    lock, n_open, most_open = threading.Lock(), 0, 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if b"drip" in body:
            self.answer(b" " * 20, pause=0.1)
        elif b"garbled" in body:
            self.answer(ANSWER, ("content-encoding", "gzip"))
        elif b"large" in body:
            self.answer(b'{"error":"no","details":[{"expected":"less","index":0}]}', status=413)
        elif b"bad" in body:
            self.answer(b'{"error":"bad","details":[]}', status=422)
        elif b"row" in body:
            self.answer(ArrowPart(0, pl.DataFrame({"prediction_id": ["a"]}), True).encode())
        else:
            self.answer_one_of_many(b"[%b]" % ANSWER if body.startswith(b"[") else ANSWER)

    def answer_one_of_many(self, answer: bytes) -> None:
        with Handler.lock:
            Handler.n_open += 1
            Handler.most_open = max(Handler.most_open, Handler.n_open)
        time.sleep(0.04)
        with Handler.lock:
            Handler.n_open -= 1
        self.answer(answer)

    def answer(self, body: bytes, *headers: tuple[str, str], status: int = 200, pause: float = 0) -> None:
        self.send_response(status)
        for name, value in (("content-length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        for part in [body[n : n + 1] for n in range(len(body))] if pause else [body]:
            time.sleep(pause)
            self.wfile.write(part)

    def log_message(self, *words: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *request: object) -> None:
        """Say nothing of a client that has gone."""


@pytest.fixture
def url() -> Iterator[str]:
    with Server(("127.0.0.1", 0), Handler) as server, serve_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_an_answer_that_comes_byte_by_byte_ends_with_the_deadline(url: str) -> None:
    client = Client(url, policy=HASTY, trust_env=False)
    with client, pytest.raises(ServiceUnreachable, match="the answer isn't complete"):
        client.predict({"n": "drip"})

    async def ask() -> None:
        async with AsyncClient(url, policy=HASTY, trust_env=False) as client:
            await client.predict({"n": "drip"})

    with pytest.raises(ServiceUnreachable, match="the answer isn't complete"):
        asyncio.run(ask())


def test_an_answer_that_cant_be_decoded_is_a_clients_error(url: str) -> None:
    with Client(url, policy=PATIENT, trust_env=False) as client, pytest.raises(ClientError, match="DecodingError"):
        client.predict({"n": "garbled"})


@pytest.mark.slow
def test_any_number_of_tasks_take_turns_and_each_has_its_deadline_from_its_turn_on(url: str) -> None:
    async def ask() -> int:
        async with AsyncClient(
            url, policy=RetryPolicy(deadline_seconds=2), max_connections=4, trust_env=False
        ) as client:
            return len(await asyncio.gather(*(client.predict({"n": n}) for n in range(240))))

    Handler.most_open = 0
    assert asyncio.run(ask()) == 240
    assert Handler.most_open <= 4


def test_of_a_table_that_fails_in_the_middle_the_answers_before_are_there(url: str) -> None:
    client = Client(url, policy=PATIENT, max_records=1, trust_env=False)
    with client, pytest.raises(InvalidRequest) as caught:
        client.predict_table(pl.DataFrame({"n": ["row", "bad"]}))
    assert caught.value.answered["prediction_id"].to_list() == ["a"]


def test_a_text_that_utf_8_has_not_is_a_clients_error_with_the_answers_before(url: str) -> None:
    client = Client(url, policy=PATIENT, max_records=1, trust_env=False)
    with client, pytest.raises(InvalidRecord, match="record 2: a record has the text") as caught:
        client.predict_list([{"n": 0}, {"n": 1}, {"n": "\ud800"}])
    assert len(caught.value.answered) == 1


def test_a_record_that_is_too_large_by_itself_is_named_by_its_position_in_the_whole_list(url: str) -> None:
    records = [{"n": 0}, {"n": 1}, {"n": "large"}]
    client = Client(url, policy=PATIENT, max_records=1, trust_env=False)
    with client, pytest.raises(TooLarge, match="record 2: less"):
        client.predict_list(records)

    async def ask() -> None:
        async with AsyncClient(url, policy=PATIENT, max_records=1, trust_env=False) as client:
            await client.predict_list(records)

    with pytest.raises(TooLarge, match="record 2: less"):
        asyncio.run(ask())


def test_of_a_list_whose_later_record_cant_be_sent_the_answers_before_are_there(url: str) -> None:
    client = Client(url, policy=PATIENT, max_records=1, trust_env=False)
    with client, pytest.raises(ClientError, match="record 2: ") as caught:
        client.predict_list([{"n": 0}, {"n": 1}, {"n": object()}])
    assert len(caught.value.answered) == 1
