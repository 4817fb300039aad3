"""Where the dashboard's pages are: ports and addresses, and the folder with the sockets behind the proxy."""

import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from penumbra.core.settings import Settings
from penumbra.core.text.masking import strip_secrets
from service.http.access.access_control import KeyDigest, KeyDigests, Role

PAGE_NAMES = ("overview", "mlflow", "evidently")  # in the order of their ports
SHOWN_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
DIGEST_FILE = "page-digests"
DASHBOARD_LOCK = "dashboard"  # the name of the lock in the monitor's folder, which dashboards share
PAGE_ROLES: frozenset[Role] = frozenset(["admin", "review", "approve"])


def find_free_ports(host: str, first: int) -> dict[str, int]:
    """Find a port for each page.

    Args:
        host: The address to listen on.
        first: The first port.

    Returns:
        Ports by page name: `first` and those after it; in place of one that is taken any free one.
    """
    return {name: _find_open_port(host, first + offset) for offset, name in enumerate(PAGE_NAMES)}


def build_page_addresses(settings: Settings, ports: Mapping[str, int]) -> dict[str, str]:
    """Build the address of each page.

    Args:
        settings: The settings' `dashboard.host` and `registry.tracking` are read.
        ports: Ports by page name.

    Returns:
        Addresses by page name; MLflow's own where the registry is a server, which has pages already.
    """
    host = SHOWN_HOSTS.get(settings.dashboard.host, settings.dashboard.host)
    found = {name: f"http://{f'[{host}]' if ':' in host else host}:{port}" for name, port in ports.items()}
    tracking = settings.registry.tracking
    return found | ({"mlflow": strip_secrets(tracking)} if _is_server(tracking) else {})


def list_served_pages(settings: Settings) -> list[str]:
    """List the pages that the dashboard serves.

    Args:
        settings: The settings' `registry.tracking` is read.

    Returns:
        Page names, the overview first; without MLflow where the registry is a server.
    """
    return [name for name in PAGE_NAMES if not (name == "mlflow" and _is_server(settings.registry.tracking))]


def get_socket(folder: Path, name: str) -> Path:
    """Get the Unix socket of a server behind the proxy.

    Args:
        folder: The folder of this run of the dashboard, which only this user can enter.
        name: The page's name.

    Returns:
        The socket's path.
    """
    return folder / name


def write_page_digests(folder: Path, keys: KeyDigests) -> None:
    """Leave the digests of the keys that open pages for the server, whose environment has no keys.

    Args:
        folder: The folder of this run of the dashboard, which only this user can enter.
        keys: As `read_keys` returns them; those of other roles are left out.
    """
    (folder / DIGEST_FILE).write_bytes(msgspec.json.encode([key for key in keys if key.role in PAGE_ROLES]))


def read_page_digests(folder: Path) -> KeyDigests:
    """Read the digests of the keys that open pages.

    Args:
        folder: The folder that they were left in.

    Returns:
        The keys of the roles admin, review and approve; empty where there are none.
    """
    return msgspec.json.decode((folder / DIGEST_FILE).read_bytes(), type=list[KeyDigest])


def _is_server(tracking: str) -> bool:
    return tracking.startswith(("http://", "https://"))


def _find_open_port(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in (port, 0):
        try:
            with socket.create_server((host, wanted), family=family) as found:
                return int(found.getsockname()[1])
        except OSError:
            if wanted == 0:
                raise
    return port
