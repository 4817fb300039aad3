"""`python -m service`: the HTTP service and the processes beside it, started, watched and ended together."""

import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from service.access import read_keys, require_safe
from service.supervise import Child, Supervisor
from settings import ROOT, Settings, SettingsError, load

DRAIN_SECONDS = 10
MODULES = {
    "deployer": "service.deploy",
    "indexer": "service.indexer",
    "archiver": "service.archiver",
    "shadow": "service.shadow",
}
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "BENTOML_QUIET": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exits with 1 where the settings are wrong or unsafe, or the port is taken."""
    try:
        settings = load()
        require_safe(settings, read_keys())
    except SettingsError as error:
        sys.exit(str(error))
    _require_free_port(settings)
    Supervisor(children(settings), environment(settings)).run(_announcer(settings))


def children(settings: Settings) -> list[Child]:
    """The processes that make up the service."""
    service = settings.service
    address = ["--host", service.host, "--port", str(service.port)]
    drain = ["--timeout-graceful-shutdown", str(DRAIN_SECONDS)]
    python = [sys.executable, "-m"]
    unwanted = {"deployer": not settings.registry.tracking, "shadow": not settings.shadow.enabled}
    companions = [name for name in MODULES if not unwanted.get(name)]
    return [
        Child("service", [*python, "bentoml", "serve", "--quiet", "service.app:Service", *address, *drain]),
        *(Child(name, [*python, MODULES[name]], background=name != "deployer") for name in companions),
    ]


def environment(settings: Settings) -> dict[str, str]:
    """The children's environment: this one's, quietened, with BentoML's files kept in the service's state."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(ROOT)]))
    home = str((settings.service.state / "bentoml").absolute())
    return {"BENTOML_HOME": home, **QUIET, **os.environ, "PYTHONPATH": path}


def _require_free_port(settings: Settings) -> None:
    host, port = settings.service.host, settings.service.port
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        sys.exit(f"port {port} of {host} can't be used ({reason}): set PENUMBRA_SERVICE__PORT to another one")


def _announcer(settings: Settings) -> Callable[[], None]:
    """A function that says once, as soon as the service answers, where it is and with which model."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.service.host, settings.service.host)
    url, due = f"http://{host}:{settings.service.port}", 0.0

    def announce() -> None:
        nonlocal due
        if time.monotonic() >= due:
            state = _state(url)
            due = time.monotonic() + 0.25 if state is None else float("inf")
            if state is not None:
                print(f"{settings.registry.model} answers at {url}: {_describe(state)}", flush=True)

    return announce


def _describe(state: dict[str, Any]) -> str:
    return f"version {state['model_version']} is live" if state["ready"] else state["reason"]


def _state(url: str) -> dict[str, Any] | None:
    """What /readyz says, or None while nothing answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + "/readyz", timeout=0.5) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return json.load(error) if error.code == 503 else None
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    main()
