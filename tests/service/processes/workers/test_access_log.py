import io
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.processes.workers.process_control import EscapeFilter
from tests.helpers.servers import local_service

FORGED = "x\n2026-11-24 [INFO] all is well\r\x1b[31m\u2028\x85"


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """What a logger called "forged" writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    handler.addFilter(EscapeFilter())
    logger = logging.getLogger("forged")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_a_message_stays_on_its_line(log_stream: io.StringIO) -> None:
    logging.getLogger("forged").error("no such thing: %s", FORGED)
    assert log_stream.getvalue() == (
        "[ERROR] no such thing: x\\n2026-11-24 [INFO] all is well\\r\\x1b[31m\\u2028\\x85\n"
    )


def test_what_an_error_says_does_not_look_like_a_record(log_stream: io.StringIO) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("forged").exception("failed")
    first, *traceback = log_stream.getvalue().splitlines()
    assert first == "[ERROR] failed"
    assert len(traceback) == 5
    assert all(line.startswith("    ") for line in traceback)
    assert "\x1b" not in log_stream.getvalue()


@given(st.text())
def test_no_text_makes_more_than_one_line(text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%s", (text,), None)
    EscapeFilter().filter(record)
    assert len(("." + record.getMessage()).splitlines()) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic
def test_the_service_escapes_what_it_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with local_service.open_test_client(tmp_path):
        logging.getLogger("service").warning("a %s", FORGED)
    assert caplog.messages[-1].startswith("a x\\n2026")


HOSTILE = [
    b"POST /predict HTTP/1.0\r\nContent-Type: text/\x1b[31m\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /explain/%0a2026-11-24%20[INFO]%20all%20is%20well%1b[31m HTTP/1.0\r\n\r\n",
    b"GET /%0a%0d2026-11-24%20[INFO]%20all%20is%20well HTTP/1.0\r\n\r\n",
    b"GET /<script>alert(1)</script> HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nAuthorization: Bearer \x1b[31m\x00\r\n\r\n",
    b"\x1b[31m nonsense\n2026-11-24 [INFO] all is well\r\n\r\n",
]


@pytest.mark.slow
def test_nothing_that_a_client_sends_is_in_the_output_or_in_a_page_unescaped(tmp_path: Path) -> None:
    with local_service.start_server(tmp_path) as (_, http):
        answers = [_send(http.base_url.port or 0, request) for request in HOSTILE]
    output = (tmp_path / "output").read_bytes()
    assert not [line for line in output.splitlines() if line.startswith(b"2026-11-24 [INFO]")]
    assert b"\x1b" not in output
    assert not [answer for answer in answers if b"\x1b" in answer or b"<script>" in answer]
    assert [answer[:10] for answer in answers if not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4"))] == []


def _send(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request)
        said = b""
        while more := connection.recv(65536):
            said += more
    return said
