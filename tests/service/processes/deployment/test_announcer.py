"""The announcer of the launcher, which asks a small server in here."""

import json
import time
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from service.processes.deployment.announcer import make_announcer
from tests.helpers.servers import local_service
from tests.helpers.servers.small_server import SmallServer, run_small_server

NOT_READY = {"ready": False, "reason": "there is no live model yet"}
READY = {"ready": True, "model_version": "1"}


class Service(SmallServer):
    state: dict[str, Any] = NOT_READY

    def respond(self, headers: Message, body: bytes) -> tuple[int, bytes]:
        return 200 if self.state["ready"] else 503, json.dumps(self.state).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    with run_small_server(Service()) as server:
        yield server


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_that_nothing_is_live_is_announced_once_it_has_lasted(
    service: Service, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call_for(make(0.3), 1)
    url = f"http://127.0.0.1:{service.server_port}"
    assert capsys.readouterr().out == f"flight-delay answers at {url}: there is no live model yet\n"
