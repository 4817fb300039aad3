"""uvicorn in a thread, and what it says to the very bytes that a test sends."""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from problem.schema import EXAMPLE
from service.connections import body_intake, connection_pool, http_protocol, request_head
from service.http.access.access_control import read_keys
from tests.helpers.servers import local_service

BODY = json.dumps(EXAMPLE).encode()
KEY = "predict-key-of-tests"
PATIENCE = 0.4  # seconds that the impatient server has, instead of 5


@contextlib.contextmanager
def run_server(app: Any, **options: Any) -> Iterator[Any]:
    """uvicorn with this application, in a thread, as BentoML's worker starts it."""
    config = uvicorn.Config(app, log_config=None, server_header=False, date_header=False, **options)
    listening, server = socket.create_server(("127.0.0.1", 0)), uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        local_service.wait_until(lambda: server.started)
        yield listening.getsockname()[1], config
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


@contextlib.contextmanager
def run_impatient_server(folder: Path, **settings: Any) -> Iterator[int]:
    """The port of the service, with a key to predict and these settings, that is patient for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (http_protocol, request_head, body_intake, connection_pool):
            patch.setattr(module, "PATIENCE_SECONDS", PATIENCE)
        patch.setattr(connection_pool, "SWEEP_SECONDS", 0.05)
        options = {"max_body_bytes": 100_000, "max_connections": 64, "keep_alive_seconds": 1, **settings}
        made, keys = (
            local_service.make_service_settings(folder, **options),
            read_keys({"PENUMBRA_KEYS__PREDICT": KEY}),
        )
        with run_server(local_service.build_service(made, local_service.PROBLEM, keys).to_asgi()) as (port, _):
            yield port


def encode_request(body: bytes = BODY, target: str = "/predict", method: str = "POST", **headers: str) -> bytes:
    fields = {"Host": "localhost", "Content_Type": "application/json", "Content_Length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body


def exchange_bytes(port: int, *pieces: bytes) -> bytes:
    """All that is said to these pieces, sent one by one, until the server has nothing to say any more; after the last
    one it has time to begin."""
    response_bytes = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces, 1):
            connection.sendall(piece)
            connection.settimeout(2 if number == len(pieces) else 0.05)
            with contextlib.suppress(TimeoutError):
                while more := connection.recv(65536):
                    response_bytes += more
                    connection.settimeout(0.05 if is_response_complete(response_bytes) else 2)
    return response_bytes


def is_response_complete(response_bytes: bytes) -> bool:
    """Has the last answer all of its body?"""
    head, _, body = response_bytes[response_bytes.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return length is not None and len(body) >= int(length[1])


def without_ids(response_bytes: bytes) -> list[Any]:
    """Status lines, headers without regard to order, and bodies."""
    heads = []
    for part in response_bytes.split(b"HTTP/1.1 ")[1:]:
        head, _, body = part.partition(b"\r\n\r\n")
        status, *fields = head.split(b"\r\n")
        decoded = json.loads(body) if body[:1] in (b"{", b"[") else body
        for answer in decoded if isinstance(decoded, list) else [decoded]:
            if isinstance(answer, dict):
                answer.pop("prediction_id", None)
        kept = [field for field in fields if not field.startswith(b"content-length")]
        heads.append((status, sorted(kept), decoded))
    return heads
