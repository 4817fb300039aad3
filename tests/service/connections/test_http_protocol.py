"""What a peer may hold of the real server before its key is known, and after: sent as bytes, over sockets."""

import contextlib
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.servers import local_service
from tests.helpers.servers.raw_http import BODY, KEY, PATIENCE, encode_request, run_impatient_server

KNOWN = {"Authorization": f"Bearer {KEY}"}
RECORD = encode_request(**KNOWN)
LIST = encode_request(b"[%b]" % BODY, **KNOWN)
STRANGER = encode_request()
PROBE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("connections")
    local_service.deploy_version(place, "1")
    return place


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with run_impatient_server(folder) as found:
        yield found


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 5)


def talk(port: int, *pieces: bytes, half_close: bool = False) -> list[tuple[int, Any]]:
    """The answers to these pieces until the server closes the connection: status, and body where there is one."""
    with connect(port) as connection:
        send(connection, *pieces)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return read_answers(connection)


def send(connection: socket.socket, *pieces: bytes) -> None:
    for number, piece in enumerate(pieces):
        time.sleep(0.02 * (number > 0))
        with contextlib.suppress(ConnectionError):
            connection.sendall(piece)


def read_answers(connection: socket.socket) -> list[tuple[int, Any]]:
    received = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            received += more
    return parse_answers(received)


def parse_answers(received: bytes) -> list[tuple[int, Any]]:
    answers = []
    for part in received.split(b"HTTP/1.1 ")[1:]:
        head, _, body = part.partition(b"\r\n\r\n")
        answers.append((int(head[:3]), json.loads(body) if body[:1] in (b"{", b"[") else body))
    return answers


def statuses(answers: Sequence[tuple[int, Any]]) -> list[int]:
    return [status for status, _ in answers]


LARGE_HEADS = {
    "one header": (431, [encode_request(X_Padding="x" * 20_000)]),
    "one header in pieces": (431, [b"GET /livez HTTP/1.1\r\nx-padding: ", *[b"x" * 6_000] * 3]),
    "many headers": (431, [b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n"]),
    "many headers without an end": (431, [b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 200]),
    "empty lines before a request": (431, [b"\r\n" * 10_000]),
    "the request line": (414, [encode_request(target="/" + "x" * 20_000)]),
    "the request line in pieces": (414, [b"GET /", *[b"x" * 6_000] * 3]),
    "of a known peer": (431, [encode_request(X_Padding="x" * 20_000, **KNOWN)]),
}


@pytest.mark.parametrize("name", LARGE_HEADS)
def test_a_head_is_bounded_however_it_comes(port: int, name: str) -> None:
    status, pieces = LARGE_HEADS[name]
    ((refused, answer),) = talk(port, *pieces)
    assert "at most 16384 bytes" in answer["error"]
    assert refused == status


def test_a_head_just_below_the_bound_is_answered(port: int) -> None:
    assert statuses(talk(port, encode_request(X_Padding="x" * 16_000, Connection="close", **KNOWN))) == [200]


LARGE_BODIES = {
    "stated": (401, [encode_request(b"", Content_Length="90000") + b"{"]),
    "more than anybody may": (401, [encode_request(b"", Content_Length="900000000") + b"{"]),
    "in chunks": (401, [encode_request(b"", Content_Length="", Transfer_Encoding="chunked") + b"5\r\n[1,2,"]),
    "asking before": (401, [encode_request(b"", Content_Length="90000", Expect="100-continue")]),
    "of a probe": (413, [encode_request(b"", target="/readyz", Content_Length="90000") + b"{"]),
    "complete, of a probe": (413, [encode_request(target="/readyz")]),
    "of a known peer": (413, [encode_request(b"", Content_Length="100001", **KNOWN) + b"{"]),
    "of a known peer, asking before": (
        413,
        [encode_request(b"", Content_Length="100001", Expect="100-continue", **KNOWN)],
    ),
    "of a known peer, in chunks": (
        413,
        [
            encode_request(b"", Content_Length="", Transfer_Encoding="chunked", **KNOWN),
            *[b"9c40\r\n%b\r\n" % (b" " * 40_000)] * 3,
        ],
    ),
    "of a known peer, complete": (413, [encode_request(b" " * 100_001, **KNOWN)]),
}


@pytest.mark.parametrize("name", LARGE_BODIES)
def test_a_body_that_is_not_wanted_is_refused_before_it_has_come(port: int, name: str) -> None:
    status, pieces = LARGE_BODIES[name]
    assert statuses(talk(port, *pieces)) == [status]


@pytest.mark.slow
def test_a_stranger_that_goes_on_sending_sees_the_refusal_and_is_closed(port: int) -> None:
    began = time.monotonic()
    answers = talk(port, encode_request(b"", Content_Length="90000"), *[b" " * 1000] * 10)
    assert statuses(answers) == [401]
    assert time.monotonic() - began < 10 * PATIENCE


def test_a_known_peer_is_asked_for_its_body(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(encode_request(b"", Content_Length=str(len(BODY)), Expect="100-continue", **KNOWN))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert parse_answers(connection.recv(65536))[0][0] == 200


def test_a_stranger_has_one_answer_of_a_probe(port: int) -> None:
    assert statuses(talk(port, PROBE * 50)) == [200]


@pytest.mark.slow
def test_a_known_peer_may_go_on_asking(port: int) -> None:
    assert statuses(talk(port, RECORD, LIST, RECORD)) == [200, 200, 200]


SILENT = {
    "nothing": ([b""], []),
    "half a head": ([STRANGER[:30]], [408]),
    "half a head of a known peer, after a request": ([RECORD, RECORD[:30]], [200, 408]),
    "half a body": ([RECORD[:-20]], [408]),
    "half a body behind a list": ([LIST + RECORD[:-20]], [200, 408]),
    "half a head behind a list": ([LIST + RECORD[:30]], [200, 408]),
    "half a body in chunks": (
        [encode_request(b"", Content_Length="", Transfer_Encoding="chunked", **KNOWN) + b"5\r\n{"],
        [408],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SILENT)
def test_who_falls_silent_is_told_so_and_closed(port: int, name: str) -> None:
    pieces, expected = SILENT[name]
    began = time.monotonic()
    assert statuses(talk(port, *pieces)) == expected
    assert time.monotonic() - began < 5 * PATIENCE + 1


@pytest.mark.slow
def test_a_head_that_comes_byte_by_byte_has_no_more_time(port: int) -> None:
    answers = talk(port, *[STRANGER[i : i + 1] for i in range(60)])
    assert statuses(answers) == [408]


@pytest.mark.slow
def test_a_body_that_keeps_its_rate_may_take_longer(port: int) -> None:
    body = b"{" + b" " * 1_200 + BODY[1:]
    pieces = [body[i : i + 100] for i in range(0, len(body), 100)]
    with connect(port) as connection:
        connection.sendall(encode_request(b"", Content_Length=str(len(body)), **KNOWN))
        for piece in pieces:
            time.sleep(0.06)
            connection.sendall(piece)
        assert parse_answers(connection.recv(65536))[0][0] == 200


@pytest.mark.slow
def test_a_connection_between_two_requests_is_kept_for_as_long_as_the_settings_say(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(RECORD)
        assert connection.recv(65536)
        began = time.monotonic()
        assert connection.recv(65536) == b""
    assert 0.9 < time.monotonic() - began < 3


GARBAGE = {
    "a record": ([RECORD + b"garbage\r\n\r\n"], [200, 400]),
    "three records": ([RECORD * 3 + b"garbage\r\n\r\n"], [200, 200, 200, 400]),
    "a list": ([LIST + b"garbage\r\n\r\n"], [200, 400]),
    "a list and records": ([RECORD + LIST + RECORD + b"\x00"], [200, 200, 200, 400]),
    "a record, then a stranger": ([RECORD + STRANGER], [200, 401]),
    "a list, then a stranger": ([LIST + STRANGER], [200, 401]),
    "a list, then a large head": ([LIST, encode_request(X_Padding="x" * 20_000)], [200, 431]),
    "nothing": ([b"garbage\r\n\r\n"], [400]),
}


@pytest.mark.parametrize("half_close", [False, True])
@pytest.mark.parametrize("name", GARBAGE)
def test_what_came_before_garbage_is_answered_first(port: int, name: str, half_close: bool) -> None:
    pieces, expected = GARBAGE[name]
    assert statuses(talk(port, *pieces, half_close=half_close)) == expected


@pytest.mark.parametrize("request_bytes", [RECORD, LIST, RECORD + LIST, LIST + RECORD, LIST + LIST])
def test_a_client_that_has_closed_its_side_gets_its_answers(port: int, request_bytes: bytes) -> None:
    expected = [200] * request_bytes.count(b"POST")
    assert statuses(talk(port, request_bytes, half_close=True)) == expected
    with connect(port) as connection:
        connection.sendall(request_bytes)
        time.sleep(0.05)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_answers(connection)) == expected


@pytest.mark.slow
def test_answers_that_nobody_reads_are_bounded(folder: Path) -> None:
    """Requests wait on a connection for one another; beyond a number of them it is refused more."""
    with run_impatient_server(folder, max_concurrency=64) as port:
        assert statuses(talk(port, LIST * 40)) == [200] * 33 + [429]


def test_a_web_socket_is_no_way_round_the_key(port: int) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "x" * 24,
    }
    for target, expected in {"/": [401], "/livez": [200]}.items():
        assert statuses(talk(port, encode_request(b"", target, "GET", **upgrade))) == expected


@pytest.mark.slow
def test_slow_senders_take_no_room_from_others(folder: Path) -> None:
    with run_impatient_server(folder, max_concurrency=2, timeout_seconds=20) as port, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(port)) for _ in range(10)]
        for connection in slow:
            connection.sendall(LIST[:-5])
        time.sleep(0.05)
        assert statuses(talk(port, RECORD, LIST, PROBE)) == [200, 200, 200]
        for connection in slow[:2]:
            connection.sendall(LIST[-5:])
            assert parse_answers(connection.recv(65536))[0][0] == 200


@pytest.mark.slow
def test_more_connections_than_fit_close_the_longest_silent_strangers_first(folder: Path) -> None:
    with (
        run_impatient_server(folder, max_connections=16, keep_alive_seconds=20) as port,
        contextlib.ExitStack() as stack,
    ):
        known = stack.enter_context(connect(port))
        known.sendall(RECORD)
        assert known.recv(65536)
        strangers = [stack.enter_context(connect(port)) for _ in range(40)]
        assert statuses(talk(port, PROBE)) == [200]
        time.sleep(0.1)
        open_ones = [is_open(each) for each in strangers]
        assert open_ones == sorted(open_ones)
        assert sum(open_ones) == 15
        known.sendall(RECORD)
        assert parse_answers(known.recv(65536))[0][0] == 200


@pytest.mark.slow
def test_idle_clients_give_way_where_there_are_no_strangers(folder: Path) -> None:
    with (
        run_impatient_server(folder, max_connections=16, keep_alive_seconds=20) as port,
        contextlib.ExitStack() as stack,
    ):
        known = []
        for _ in range(20):
            known.append(stack.enter_context(connect(port)))
            known[-1].sendall(RECORD)
            assert known[-1].recv(65536)
        assert statuses(talk(port, PROBE)) == [200]
        time.sleep(0.1)
        assert [is_open(each) for each in known] == [False] * 4 + [True] * 16


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(65536) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    finally:
        connection.settimeout(5)


@pytest.mark.slow
def test_incomplete_bodies_are_bounded_together_and_the_slowest_gives_way(folder: Path) -> None:
    head = encode_request(b"", Content_Length="100000", **KNOWN)
    with run_impatient_server(folder) as port, contextlib.ExitStack() as stack:
        senders = [stack.enter_context(connect(port)) for _ in range(9)]
        for connection in senders:
            connection.sendall(head + b" " * 95_000)
            time.sleep(0.02)
        assert statuses(read_answers(senders[0])) == [503]
        assert all(is_open(each) for each in senders[1:])
        assert statuses(talk(port, RECORD)) == [200]


@pytest.mark.slow
@pytest.mark.parametrize("requests", [1, 20, 10_000])
def test_who_reads_no_answers_is_closed_and_makes_room(folder: Path, requests: int) -> None:
    """Its answers fill what the kernel keeps for it, and then the server's own buffer."""
    many = encode_request(b"[%b]" % b",".join([BODY] * 300), **KNOWN)
    with run_impatient_server(folder, max_concurrency=1, max_body_bytes=1_000_000) as port, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", port))
        reader.settimeout(0.1)
        threading.Thread(target=flood, args=(reader, many, requests), daemon=True).start()
        time.sleep(0.5)
        local_service.wait_until(lambda: statuses(talk(port, LIST)) == [200], seconds=10)


def flood(connection: socket.socket, request_bytes: bytes, requests: int) -> None:
    """Send until the connection is ended."""
    for _ in range(requests):
        try:
            connection.sendall(request_bytes)
        except TimeoutError:
            continue
        except OSError:
            return


def test_garbage_of_strangers_leaves_no_lines_in_the_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    talk(port, b"garbage\r\n\r\n")
    talk(port, encode_request(b"", "/", "GET", Connection="Upgrade", Upgrade="h2c"))
    assert caplog.messages == []


@pytest.mark.parametrize(
    "piece",
    [
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nx: " + b"a" * 100_000,
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"[" * 100_000,
    ],
    ids=["a long line", "a large header", "a body without a key"],
)
def test_nothing_is_kept_of_what_refused_peers_have_sent(port: int, piece: bytes) -> None:
    with contextlib.ExitStack() as open_ones:
        tracemalloc.start()
        open_ones.callback(tracemalloc.stop)
        for _ in range(20):
            connection = open_ones.enter_context(connect(port))
            send(connection, piece)
            assert connection.recv(12) in (b"HTTP/1.1 401", b"HTTP/1.1 414", b"HTTP/1.1 431")
        assert tracemalloc.get_traced_memory()[0] < 5 * len(piece)
