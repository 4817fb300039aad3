"""The dashboard's server: the overview, and MLflow and Evidently behind a proxy, each at a port of its own.

Started by `make dashboard`: python -m monitoring.dashboard.server OVERVIEW_PORT MLFLOW_PORT EVIDENTLY_PORT FOLDER; the
folder has the sockets of MLflow and Evidently, and the digests of the keys that open pages.
"""

import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import uvicorn

from monitoring.dashboard.approvals.site import make_approvals_site
from monitoring.dashboard.overview import overview_page
from monitoring.dashboard.overview.overview_site import make_overview_site
from monitoring.dashboard.page_access import PageAccess, guard_site
from monitoring.dashboard.page_protocol import make_page_protocol
from monitoring.dashboard.places import (
    PAGE_NAMES,
    build_page_addresses,
    get_socket,
    list_served_pages,
    read_page_digests,
)
from monitoring.dashboard.reverse_proxy import make_reverse_proxy
from monitoring.dashboard.review.review_site import make_review_site
from monitoring.dashboard.sites import APPROVALS_PATH, REVIEW_PATH, SITES
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import Settings, SettingsError, load_settings
from service.http.access.hosts import HostCheck, is_loopback
from service.http.asgi import Message, Receive, Send

HOST_REMEDY = "open 127.0.0.1 or localhost, or name it in the setting dashboard.hosts"


def make_dashboard_config(
    settings: Settings, problem: Problem, ports: Mapping[str, int], folder: Path
) -> uvicorn.Config:
    """Make the configuration of uvicorn for all sites, told apart by the port that a request arrives at.

    Args:
        settings: The settings, for the overview; the section `dashboard` says who may reach the sites.
        problem: The user's problem, for the overview.
        ports: Ports by page name.
        folder: The folder with sockets and digests.

    Returns:
        The configuration, with application and protocol.
    """
    dashboard, addresses = settings.dashboard, build_page_addresses(settings, ports)
    pages = overview_page.PageAddresses(addresses["mlflow"], addresses["evidently"])
    keys = read_page_digests(folder)
    is_answerable = any(key.role == "approve" for key in keys)
    parts = {
        REVIEW_PATH: make_review_site(settings, problem),
        APPROVALS_PATH: make_approvals_site(settings, problem, is_answerable),
    }
    apps = {"overview": make_overview_site(settings, problem, pages, parts)}
    for name in list_served_pages(settings)[1:]:
        apps[name] = make_reverse_proxy(get_socket(folder, name), SITES[name].title)
    hosts = HostCheck([dashboard.host, *dashboard.hosts], HOST_REMEDY)
    access = PageAccess(hosts, keys, is_closed=not is_loopback(dashboard.host))
    sites = {ports[name]: SITES[name] for name in apps}
    guarded = {ports[name]: guard_site(app, SITES[name], access) for name, app in apps.items()}

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        await guarded[scope["server"][1]](scope, receive, send)

    def check(scope: Message) -> None:
        access.check(sites[scope["server"][1]], scope)

    protocol = make_page_protocol(check)
    return uvicorn.Config(serve, http=protocol, lifespan="off", log_level="warning", server_header=False, ws="none")


def main(*arguments: str) -> None:
    """Serve until the process is ended. Exits with a message where the settings are wrong or a port is taken.

    Args:
        *arguments: Three ports and a folder, as in this module's description.
    """
    ports, folder = dict(zip(PAGE_NAMES, map(int, arguments), strict=False)), Path(arguments[-1])
    try:
        settings, problem = load_settings(), load_problem((*overview_page.SHOWN_PARTS, "features"))
        sockets = [_listen(settings.dashboard.host, ports[name]) for name in list_served_pages(settings)]
    except (SettingsError, ProblemError, OSError) as error:
        sys.exit(str(error))
    uvicorn.Server(make_dashboard_config(settings, problem, ports, folder)).run(sockets)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
