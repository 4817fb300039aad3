"""The processes of `make dashboard`: MLflow, Evidently and the overview, started, watched and ended together."""

import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

from penumbra.core.masking import strip_secrets
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from service.processes.supervisor import ChildProcess, Supervisor

PAGE_NAMES = ("overview", "mlflow", "evidently")  # in the order of their ports
# In the monitor's folder: what monitoring/reports/workspace.py (slow to import) calls so, and what the processes print.
DASHBOARD_WORKSPACE, DASHBOARD_LOG_FOLDER = "evidently", "dashboard"
DASHBOARD_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONUNBUFFERED": "1",
}
PROBE_SECONDS = 0.5
PROBE_PATHS = {"overview": "/healthz"}  # cheaper than the page
SHUTDOWN_SECONDS = 10.0


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exits with 1 where the settings are wrong."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    ports = find_free_ports(settings.dashboard.host, settings.dashboard.first_port)
    addresses = build_page_addresses(settings.dashboard.host, settings.registry.tracking, ports)
    print("Starting the overview, MLflow and Evidently, which takes half a minute ...", flush=True)
    Supervisor(
        list_dashboard_processes(settings, ports, addresses), build_dashboard_environment(), SHUTDOWN_SECONDS
    ).run(make_page_announcer(addresses))


def find_free_ports(host: str, first: int) -> dict[str, int]:
    """Find a port for each page.

    Args:
        host: The address to listen on.
        first: The first port.

    Returns:
        Ports by page name: `first` and those after it; in place of one that is taken any free one.
    """
    return {name: _find_open_port(host, first + offset) for offset, name in enumerate(PAGE_NAMES)}


def build_page_addresses(host: str, tracking: str, ports: Mapping[str, int]) -> dict[str, str]:
    """Build the address of each page.

    Args:
        host: The address that the pages listen on.
        tracking: The settings' `registry.tracking`.
        ports: Ports by page name.

    Returns:
        Addresses by page name; MLflow's own where the registry is a server, which has pages already.
    """
    found = {name: f"http://{host}:{port}" for name, port in ports.items()}
    return found | ({"mlflow": strip_secrets(tracking)} if _is_server(tracking) else {})


def list_dashboard_processes(
    settings: Settings, ports: Mapping[str, int], addresses: Mapping[str, str]
) -> list[ChildProcess]:
    """List the processes to start, and create their folders.

    Args:
        settings: The settings' sections `dashboard`, `monitor` and `registry` are read.
        ports: Ports by page name.
        addresses: Addresses by page name.

    Returns:
        The processes; none for MLflow where the registry is a server.
    """
    host, python = settings.dashboard.host, [sys.executable, "-m"]
    workspace, logs = (
        (settings.monitor.folder / name).absolute() for name in (DASHBOARD_WORKSPACE, DASHBOARD_LOG_FOLDER)
    )
    for folder in (workspace, logs):
        folder.mkdir(parents=True, exist_ok=True)
    listen = ["--host", host, "--port", str(ports["evidently"])]
    commands = {
        "overview": [
            *python,
            "monitoring.dashboard.server",
            host,
            str(ports["overview"]),
            addresses["mlflow"],
            addresses["evidently"],
        ],
        "mlflow": [*python, "monitoring.dashboard.mlflow_server", host, str(ports["mlflow"])],
        "evidently": [*python, "evidently.cli", "ui", "--workspace", str(workspace), *listen],
    }
    wanted = [name for name in PAGE_NAMES if not (name == "mlflow" and _is_server(settings.registry.tracking))]
    return [ChildProcess(name, commands[name], logs / f"{name}.log") for name in wanted]


def build_dashboard_environment() -> dict[str, str]:
    """Build the environment of the processes.

    Returns:
        This process's environment without telemetry, with the project on Python's path.
    """
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(PROJECT_ROOT)]))
    return {**DASHBOARD_ENVIRONMENT, **os.environ, "PYTHONPATH": path}


def make_page_announcer(addresses: Mapping[str, str]) -> Callable[[], None]:
    """Make a function that prints each page's address once, as soon as the page answers.

    Args:
        addresses: Addresses by page name.

    Returns:
        A function to be called again and again.
    """
    waiting, due = dict(addresses), 0.0

    def announce() -> None:
        nonlocal due
        if not waiting or time.monotonic() < due:
            return
        for name in [name for name, address in waiting.items() if _is_answering(address + PROBE_PATHS.get(name, ""))]:
            print(f"{name:<10} {waiting.pop(name)}", flush=True)
        due = time.monotonic() + PROBE_SECONDS
        if not waiting:
            print("All answer. Ctrl-C ends them.", flush=True)

    return announce


def _is_server(tracking: str) -> bool:
    return tracking.startswith(("http://", "https://"))


def _find_open_port(host: str, port: int) -> int:
    for wanted in (port, 0):
        try:
            with socket.create_server((host, wanted)) as found:
                return int(found.getsockname()[1])
        except OSError:
            if wanted == 0:
                raise
    return port


def _is_answering(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(address, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
