"""The announcer of the launcher, which asks a small server in here."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from service.processes.announcer import make_announcer
from tests.helpers import local_service

NOT_READY = {"ready": False, "reason": "there is no live model yet"}
READY = {"ready": True, "model_version": "1"}


class Service(ThreadingHTTPServer):
    state: dict[str, Any] = NOT_READY


class Answering(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        body = json.dumps(self.server.state).encode()
        self.send_response(200 if self.server.state["ready"] else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def make(service: Service, tmp_path: Path) -> Callable[[float], Callable[[], None]]:
    settings = local_service.make_service_settings(tmp_path)
    address = settings.service.model_copy(update={"host": "127.0.0.1", "port": service.server_port})
    return lambda patience: make_announcer(settings.model_copy(update={"service": address}), patience)


def call_for(announce: Callable[[], None], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        announce()
        time.sleep(0.02)


def test_a_version_that_becomes_live_soon_is_announced_without_the_reason_before_it(
    service: Service, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    announce = make(30)
    call_for(announce, 0.4)
    assert capsys.readouterr().out == ""
    service.state = READY
    call_for(announce, 0.6)
    url = f"http://127.0.0.1:{service.server_port}"
    assert capsys.readouterr().out == f"flight-delay answers at {url}: version 1 is live\n"


def test_that_nothing_is_live_is_announced_once_it_has_lasted(
    service: Service, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call_for(make(0.3), 1)
    url = f"http://127.0.0.1:{service.server_port}"
    assert capsys.readouterr().out == f"flight-delay answers at {url}: there is no live model yet\n"
