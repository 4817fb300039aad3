"""The launcher, `python -m service`: starts, watches and ends the HTTP service and the processes beside it."""

import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import service
from penumbra.core.project_root import extend_python_path
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError, load_settings, remove_api_keys
from penumbra.core.settings.url_drivers import require_drivers
from penumbra.core.system.process_tree import adopt_orphans
from service import processes, shadow
from service.http.access.access_control import (
    KeyDigests,
    load_key_digests,
    read_keys,
    require_safe_access,
    store_key_digests,
)
from service.processes import deployment
from service.processes.deployment.announcer import make_announcer
from service.processes.deployment.state_lock import StateFolderRefused, acquire_state_lock
from service.processes.workers import head_start
from service.processes.workers.environment import QUIET_ENVIRONMENT, list_hidden_variables
from service.processes.workers.head_start import HostProcess, WaitingHost
from service.processes.workers.supervisor import ChildProcess, Supervisor

BACKLOG = 2048  # connections that wait for a worker
KEYS_OPTION = "--key-digests"  # followed by an inherited file descriptor
PROCESS_MODULES = {
    head_start.NAME: head_start.MODULE,
    "deployer": f"{deployment.__name__}.deployer",
    **{name: f"{processes.__name__}.{name}" for name in ("indexer", "archiver", "shipper")},
    "shadow": f"{shadow.__name__}.process",
}  # by package, as importing the modules themselves would cost their memory once more
# In this order they give way, where the machine can't do all: answers come first, and labels before the shadow.
PROCESS_NICENESS = {"deployer": 0, "indexer": 5, "archiver": 10, "shipper": 5}  # that of the shadow is a setting
ORDERLY_ENDING = (
    "shadow",
    "shipper",
)  # even where the launcher is killed: what models started ends, what is closed is shipped
SERVICE_URLS = ("registry.tracking", "registry.artifacts", "log.archive", "cluster.state")
SERVICE_MODULE = service.__name__


def main(waiting: WaitingHost | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Exits with 1 where settings or `problem/` are wrong, settings are unsafe or take a library that isn't installed, the
    port is taken, or another service has the state folder. Where the environment has API keys, this process starts once
    more without them.

    Args:
        waiting: A worker host that was started ahead.
    """
    try:
        settings = load_settings()
        require_drivers(settings, SERVICE_URLS)
        keys, keys_file = _take_keys(settings.service.state)
        require_safe_access(settings.service, keys)
        acquire_state_lock(settings.service.state)
    except (SettingsError, StateFolderRefused) as error:
        sys.exit(str(error))
    adopt_orphans()
    with _listen(settings.service.host, settings.service.port) as listening:
        os.environ |= build_service_environment(settings.service.state)
        children = list_service_processes(settings, [listening.fileno(), keys_file.fileno()], waiting)
        _empty_folder(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
        supervisor = Supervisor(children, os.environ)
        announce = make_announcer(settings)

        def announce_or_stop() -> None:
            if children[0].last_code == os.EX_CONFIG:
                supervisor.stop()
            else:
                announce()

        supervisor.run(announce_or_stop)
    sys.exit(int(children[0].last_code == os.EX_CONFIG))


def list_service_processes(
    settings: Settings, descriptors: Sequence[int], waiting: WaitingHost | None = None
) -> list[ChildProcess]:
    """List the processes that make up the service.

    Args:
        settings: Whether there are a registry and a shadow.
        descriptors: Those of the listening socket and of the file with the digests of the API keys.
        waiting: A worker host that was started ahead.

    Returns:
        The worker host first, then the companions that the settings enable; none of these is started.
    """
    disabled = {
        "deployer": not settings.registry.tracking,
        "shadow": not settings.shadow.enabled,
        "shipper": not settings.cluster.state,
    }
    host = HostProcess(
        head_start.NAME,
        pass_fds=descriptors,
        hidden_variables=list_hidden_variables(head_start.NAME),
        waiting=waiting,
    )
    niceness = PROCESS_NICENESS | {"shadow": settings.shadow.niceness}
    companions = [
        ChildProcess(
            name,
            [sys.executable, "-m", module],
            niceness=niceness[name],
            ends_last=name == "shipper",
            hidden_variables=list_hidden_variables(name),
            death_signal=signal.SIGKILL if name not in ORDERLY_ENDING else signal.SIGTERM,
        )
        for name, module in PROCESS_MODULES.items()
        if name != head_start.NAME and not disabled.get(name)
    ]
    return [host, *companions]


def build_service_environment(state: Path) -> dict[str, str]:
    """Build the environment of the child processes.

    Args:
        state: The service's state folder, where BentoML's own files go.

    Returns:
        This process's environment, with the project on PYTHONPATH, and with telemetry and banners of libraries off.
    """
    home = (state / "bentoml").absolute()
    own = {
        "PYTHONPATH": extend_python_path(PROJECT_ROOT),
        "PROMETHEUS_MULTIPROC_DIR": str(home / "prometheus_multiproc_dir"),
    }
    return {"BENTOML_HOME": str(home), **QUIET_ENVIRONMENT, **remove_api_keys(os.environ), **own}


def _take_keys(state: Path) -> tuple[KeyDigests, IO[bytes]]:
    """Return the digests of the API keys with the file that hands them on.

    Where the environment has keys, this process is replaced by one without them: others of the same user could read the
    environment that a process was started with.
    """
    if len(sys.argv) > 1 and sys.argv[1] == KEYS_OPTION:
        inherited: IO[bytes] = os.fdopen(int(sys.argv[2]), "rb")
        return load_key_digests(inherited.fileno()), inherited
    keys = read_keys()
    file = store_key_digests(keys)
    if keys:
        command = [sys.executable, "-m", SERVICE_MODULE, KEYS_OPTION, str(file.fileno())]
        os.execve(sys.executable, command, build_service_environment(state))
    return keys, file


def _listen(host: str, port: int) -> socket.socket:
    """Open the listening socket. Exits where that can't be."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        sys.exit(f"port {port} of {host} can't be used ({reason}): set PENUMBRA_SERVICE__PORT to another one")


def _empty_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
