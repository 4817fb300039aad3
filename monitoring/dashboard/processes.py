"""The processes of `make dashboard`: MLflow, Evidently, and the server in front of both, watched and ended together."""

import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from monitoring.dashboard.places import (
    DASHBOARD_LOCK,
    PAGE_NAMES,
    build_page_addresses,
    find_free_ports,
    get_socket,
    list_served_pages,
    write_page_digests,
)
from monitoring.dashboard.sites import SITES
from penumbra.core.project_root import extend_python_path
from penumbra.core.settings import (
    API_KEY_PREFIX,
    PROJECT_ROOT,
    Settings,
    SettingsError,
    load_settings,
    remove_api_keys,
)
from penumbra.core.text.quoting import list_names
from penumbra.storage.work_lock import hold_work_lock
from service.http.access.access_control import KeyDigests, read_keys
from service.http.access.hosts import is_loopback
from service.processes.workers.supervisor import ChildProcess, Supervisor

# In the monitor's folder: what monitoring/reports/workspace.py (slow to import) calls so, and what the processes print.
DASHBOARD_WORKSPACE, DASHBOARD_LOG_FOLDER = "evidently", "dashboard"
DASHBOARD_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONUNBUFFERED": "1",
}
PROBE_SECONDS = 0.5
STARTING_STATUS = 503  # of the proxy while nothing listens behind it
PROGRESS_SECONDS = 20.0
SHUTDOWN_SECONDS = 10.0


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exits with 1 where the settings are wrong or unsafe."""
    try:
        settings, keys = load_settings(), read_keys()
        require_closed_pages(settings, keys)
    except SettingsError as error:
        sys.exit(str(error))
    ports = find_free_ports(settings.dashboard.host, settings.dashboard.first_port)
    print(
        "Starting the overview, MLflow and Evidently, which takes half a minute, longer on a busy machine ...",
        flush=True,
    )
    lock = settings.monitor.folder / f"{DASHBOARD_LOCK}.lock"
    with (
        hold_work_lock(lock, DASHBOARD_LOCK, shared=True),
        tempfile.TemporaryDirectory(prefix="penumbra-") as folder,  # for this user alone
    ):
        write_page_digests(Path(folder), keys)
        children = list_dashboard_processes(settings, ports, Path(folder))
        announce = make_page_announcer(build_page_addresses(settings, ports))
        Supervisor(children, build_dashboard_environment(), SHUTDOWN_SECONDS).run(announce)


def require_closed_pages(settings: Settings, keys: KeyDigests) -> None:
    """Refuse settings under which other machines could read the pages without a key.

    Args:
        settings: The settings' `dashboard.host` is read.
        keys: As returned by `read_keys`.

    Raises:
        SettingsError: The host is not a loopback address, and there is no admin key.
    """
    if not is_loopback(settings.dashboard.host) and not any(key.role == "admin" for key in keys):
        raise SettingsError(
            f"dashboard.host = {settings.dashboard.host!r} can be reached from other machines and no admin key is set: "
            f"set {API_KEY_PREFIX}ADMIN, which readers are then asked for"
        )


def list_dashboard_processes(settings: Settings, ports: Mapping[str, int], folder: Path) -> list[ChildProcess]:
    """List the processes to start, and create their folders.

    Args:
        settings: The settings' sections `monitor`, `registry` and `cluster` are read.
        ports: Ports by page name.
        folder: The folder for sockets and digests.

    Returns:
        The processes; none for MLflow where the registry is a server. Where machines share their state there are two
        more, which bring what the pages show here.
    """
    python = [sys.executable, "-m"]
    workspace, logs = (
        (settings.monitor.folder / name).absolute() for name in (DASHBOARD_WORKSPACE, DASHBOARD_LOG_FOLDER)
    )
    for needed in (workspace, logs):
        needed.mkdir(parents=True, exist_ok=True)
    listened = [str(ports[name]) for name in PAGE_NAMES]
    sockets = {name: str(get_socket(folder, name)) for name in PAGE_NAMES}
    commands = {
        "overview": [*python, "monitoring.dashboard.server", *listened, str(folder)],
        "mlflow": [*python, "monitoring.dashboard.mlflow_server", sockets["mlflow"]],
        "evidently": [*python, "monitoring.dashboard.evidently_server", sockets["evidently"], str(workspace)],
    }
    if settings.cluster.state:  # bundles, windows and logs are brought here; elsewhere they are here
        commands["deployer"] = [*python, "service.processes.deployment.deployer"]
        commands["reader"] = [*python, "monitoring.dashboard.shared_reader"]
    beside = commands.keys() - {*PAGE_NAMES}
    names = [*list_served_pages(settings), *sorted(beside)]
    return [ChildProcess(name, commands[name], logs / f"{name}.log") for name in names]


def build_dashboard_environment() -> dict[str, str]:
    """Build the environment of the processes.

    Returns:
        This process's environment without telemetry and API keys, with the project on Python's path.
    """
    return {**DASHBOARD_ENVIRONMENT, **remove_api_keys(os.environ), "PYTHONPATH": extend_python_path(PROJECT_ROOT)}


def make_page_announcer(addresses: Mapping[str, str]) -> Callable[[], None]:
    """Make a function that prints each page's address once, as soon as the page answers, and what is waited for.

    Args:
        addresses: Addresses by page name.

    Returns:
        A function to be called again and again.
    """
    waiting, due, began = dict(addresses), 0.0, time.monotonic()
    told = began + PROGRESS_SECONDS

    def announce() -> None:
        nonlocal due, told
        if not waiting or time.monotonic() < due:
            return
        for name in [name for name, address in waiting.items() if _is_answering(address + _get_probe(name))]:
            print(f"{name:<10} {waiting.pop(name)}", flush=True)
        now = time.monotonic()
        due = now + PROBE_SECONDS
        if not waiting:
            print("All answer. Ctrl-C ends them.", flush=True)
        elif now >= told:
            print(f"Still waiting for {list_names(waiting)}, after {now - began:.0f} seconds ...", flush=True)
            told = now + PROGRESS_SECONDS

    return announce


def _get_probe(name: str) -> str:
    """The path that says whether a site answers: its first probe; the page itself where it has none."""
    return next(iter(SITES[name].probes), "")


def _is_answering(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(address, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError as error:
        return error.code != STARTING_STATUS
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
