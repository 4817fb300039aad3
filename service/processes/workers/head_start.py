"""The head start of the worker host: it loads its libraries while the launcher reads the settings. Cheap to import.

A worker host is started with one end of a socket. By it the launcher sends, as soon as it knows them, the descriptors
of the listening socket, of the file with the digests of the API keys and of one in memory with the environment:
python -m service.processes.workers.head_start SOCKET.
"""

import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from penumbra.core.project_root import API_KEY_PREFIX, extend_python_path, find_project_root
from penumbra.core.system.lean_imports import import_lean
from service.processes.workers.environment import QUIET_ENVIRONMENT, hide_variables, list_hidden_variables
from service.processes.workers.supervisor import ChildProcess, RunningProcess, start_process

NAME, MODULE = "service", "service.processes.workers.head_start"
DESCRIPTORS = 3
LIBRARIES = (  # none of them reads what the launcher sends
    "penumbra.core.loading.problem_loading",
    "penumbra.registry.bundles.bundle",
    "_bentoml_impl.loader",
    "_bentoml_impl.server.app",
    "_bentoml_impl.worker.service",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
)
UNUSED_MODULES = {  # BentoML's proxy of other servers and its supervisor, with the function that is imported of each
    "_bentoml_impl.server.proxy": "create_proxy_app",
    "_bentoml_impl.server.serving": "serve_http",
}


class WaitingHost:
    """A worker host that waits for its environment and descriptors."""

    def __init__(self) -> None:
        """Start it."""
        path = extend_python_path(find_project_root())
        own = {"PYTHONPATH": path, "PROMETHEUS_MULTIPROC_DIR": ""}  # prometheus_client's import asks if there is one
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = start_process(
                [sys.executable, "-m", MODULE, str(theirs.fileno())],
                hide_variables({**QUIET_ENVIRONMENT, **os.environ, **own}, list_hidden_variables(NAME)),
                [theirs.fileno()],
                death_signal=signal.SIGKILL,
            )

    def release(self, environment: Mapping[str, str], descriptors: Sequence[int]) -> RunningProcess:
        """Let it begin; waits for nothing, however large the environment and whatever keeps the host from reading it.

        Args:
            environment: All of its environment variables.
            descriptors: Those of the listening socket and of the file with the keys.

        Returns:
            The process; it may have ended already.
        """
        with self._socket, suppress(OSError), os.fdopen(os.memfd_create("environment"), "wb") as file:
            file.write(json.dumps(dict(environment)).encode())
            file.seek(0)
            socket.send_fds(self._socket, [b"\n"], [*descriptors, file.fileno()])
        return self._process


@dataclass
class HostProcess(ChildProcess):
    """The worker host as the launcher supervises it; the first one has had a head start, if there is one.

    Attributes:
        waiting: The host that is started already.
    """

    waiting: WaitingHost | None = None

    def _start(self, environment: Mapping[str, str]) -> RunningProcess:
        host, self.waiting = self.waiting or WaitingHost(), None
        return host.release(hide_variables(environment, self.hidden_variables), self.pass_fds)


def start_ahead() -> WaitingHost | None:
    """Start a worker host before the settings are read.

    Returns:
        The host; None where the environment has API keys, as the launcher then starts once more without them.
    """
    return None if any(name.startswith(API_KEY_PREFIX) for name in os.environ) else WaitingHost()


def load_libraries() -> None:
    """Load `LIBRARIES`, but none of the large ones that they would load for what nothing here asks for."""
    gc.disable()  # nothing that is imported is garbage
    import_lean("dataframely")
    for module, function in UNUSED_MODULES.items():
        sys.modules[module] = ModuleType(module)
        setattr(sys.modules[module], function, None)
    for module in LIBRARIES:
        importlib.import_module(module)


def main(channel: int) -> None:
    """Load libraries, and run the worker host as soon as the launcher says what it needs.

    Args:
        channel: The inherited descriptor of the socket.
    """
    load_libraries()
    with socket.socket(fileno=channel) as launcher:
        _, descriptors, _, _ = socket.recv_fds(launcher, 1, DESCRIPTORS)
    if len(descriptors) < DESCRIPTORS:  # the launcher has ended
        return
    with os.fdopen(descriptors.pop(), "rb") as file:
        environment = json.load(file)
    os.environ.clear()
    os.environ.update(environment)
    from service.processes.workers import worker_host  # which creates metrics where the environment says

    worker_host.main(*descriptors)


if __name__ == "__main__":
    main(int(sys.argv[1]))
