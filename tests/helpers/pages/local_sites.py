"""ASGI applications served over HTTP by this process, at a port or a Unix socket."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn


@contextlib.contextmanager
def serve_app(app: Any, sockets: Sequence[socket.socket] = (), uds: Path | None = None) -> Iterator[None]:
    """Serve an application by uvicorn's own protocol until the end of the block.

    Args:
        app: The ASGI application.
        sockets: Sockets that listen at ports.
        uds: A Unix socket to listen at instead.

    Yields:
        Nothing, once it answers.
    """
    options: Any = {"http": "httptools", "lifespan": "off", "log_level": "error", "ws": "none"}
    with serve_config(uvicorn.Config(app, uds=uds and str(uds), **options), sockets):
        yield


@contextlib.contextmanager
def serve_config(config: uvicorn.Config, sockets: Sequence[socket.socket] = ()) -> Iterator[None]:
    """Serve until the end of the block.

    Args:
        config: What, and by which protocol.
        sockets: Sockets that listen at ports; without any the configuration says where.

    Yields:
        Nothing, once it answers.
    """
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=(list(sockets) or None,), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
