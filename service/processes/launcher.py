"""The launcher, `python -m service`: starts, watches and ends the HTTP service and the processes beside it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import service
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from service import processes, shadow
from service.http.access import read_keys, require_safe_access
from service.processes.process_control import IDLE_NICENESS
from service.processes.supervisor import ChildProcess, Supervisor, start_process

DRAIN_SECONDS = 10
PROCESS_MODULES = {
    **{name: f"{processes.__name__}.{name}" for name in ("deployer", "indexer", "archiver")},
    "shadow": f"{shadow.__name__}.process",
}  # by package, as importing the modules themselves would cost their memory once more
# In this order they give way, where the machine can't do all: answers come first, and labels before the shadow.
PROCESS_NICENESS = {"indexer": 5, "archiver": 10, "shadow": IDLE_NICENESS}
PROBLEM_CHECK = """
import sys
from penumbra.core.problem import ProblemError
from penumbra.core.problem_loading import SERVED_PARTS, load_problem
try:
    load_problem(SERVED_PARTS)
except ProblemError as error:
    sys.exit(str(error))
"""  # in a process of its own beside the start, as loading it costs more than all that the launcher does
SERVICE_TARGET = f"{service.__name__}.app:Service"
QUIET_ENVIRONMENT = {
    "BENTOML_DO_NOT_TRACK": "True",
    "BENTOML_QUIET": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


def main() -> None:
    """Serve until SIGTERM or SIGINT.

    Exits with 1 where settings or `problem/` are wrong, settings are unsafe, or the port is taken.
    """
    try:
        settings = load_settings()
        require_safe_access(settings.service, read_keys())
    except SettingsError as error:
        sys.exit(str(error))
    _require_free_port(settings.service.host, settings.service.port)
    environment = build_service_environment(settings.service.state)
    supervisor = Supervisor(list_service_processes(settings), environment)
    check = start_process([sys.executable, "-c", PROBLEM_CHECK], environment, niceness=IDLE_NICENESS)
    announce = _make_announcer(settings)

    def announce_or_stop() -> None:
        if check.poll() == 1:
            supervisor.stop()
        else:
            announce()

    supervisor.run(announce_or_stop)
    sys.exit(_end_check(check))


def list_service_processes(settings: Settings) -> list[ChildProcess]:
    """List the processes that make up the service.

    Args:
        settings: Host and port, and whether there are a registry and a shadow.

    Returns:
        The BentoML server first, then the companions that the settings enable; none of them is started.
    """
    address = ["--host", settings.service.host, "--port", str(settings.service.port)]
    drain = ["--timeout-graceful-shutdown", str(DRAIN_SECONDS)]
    python = [sys.executable, "-m"]
    disabled = {"deployer": not settings.registry.tracking, "shadow": not settings.shadow.enabled}
    companions = [name for name in PROCESS_MODULES if not disabled.get(name)]
    return [
        ChildProcess("service", [*python, "bentoml", "serve", "--quiet", SERVICE_TARGET, *address, *drain]),
        *(
            ChildProcess(name, [*python, PROCESS_MODULES[name]], niceness=PROCESS_NICENESS.get(name, 0))
            for name in companions
        ),
    ]


def build_service_environment(state: Path) -> dict[str, str]:
    """Build the environment of the child processes.

    Args:
        state: The service's state folder, where BentoML's own files go.

    Returns:
        This process's environment, with the project on PYTHONPATH, and with telemetry and banners of libraries off.
    """
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(PROJECT_ROOT)]))
    home = str((state / "bentoml").absolute())
    return {"BENTOML_HOME": home, **QUIET_ENVIRONMENT, **os.environ, "PYTHONPATH": path}


def _end_check(check: subprocess.Popen[bytes]) -> int:
    """End the check of `problem/` if it still runs, and return 1 where it found a fault, else 0."""
    check.terminate()
    return int(check.wait() == 1)


def _require_free_port(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        sys.exit(f"port {port} of {host} can't be used ({reason}): set PENUMBRA_SERVICE__PORT to another one")


def _make_announcer(settings: Settings) -> Callable[[], None]:
    """Return a function that prints once, as soon as the service answers, its address and live version."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.service.host, settings.service.host)
    url, due = f"http://{host}:{settings.service.port}", 0.0

    def announce() -> None:
        nonlocal due
        if time.monotonic() >= due:
            state = _fetch_readiness(url)
            due = time.monotonic() + 0.25 if state is None else float("inf")
            if state is not None:
                print(f"{settings.registry.model} answers at {url}: {_describe_readiness(state)}", flush=True)

    return announce


def _describe_readiness(state: dict[str, Any]) -> str:
    return f"version {state['model_version']} is live" if state["ready"] else state["reason"]


def _fetch_readiness(url: str) -> dict[str, Any] | None:
    """Return the body of /readyz, or None while nothing answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + "/readyz", timeout=0.5) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return json.load(error) if error.code == 503 else None
    except (OSError, ValueError):
        return None
