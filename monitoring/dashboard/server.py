"""The overview page over HTTP, made anew for each reader, with the reports and cards that it links to.

Started by `make dashboard`: python -m monitoring.dashboard.server HOST PORT MLFLOW EVIDENTLY
"""

import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path

from monitoring.dashboard import overview
from monitoring.dashboard.bounded_server import BoundedHttpServer, BoundedRequestHandler
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import Settings, SettingsError, load_settings

LINKED_PAGE = re.compile(r"/(reports/\d{4}-\d\d-\d\d|cards)/[a-z-]+\.html")


def make_overview_server(
    settings: Settings, problem: Problem, host: str, port: int, addresses: overview.PageAddresses
) -> ThreadingHTTPServer:
    """Make a server that answers as soon as its `serve_forever` is called.

    Args:
        settings: The settings, for the overview.
        problem: The user's problem, for the overview.
        host: The address to listen on.
        port: The port to listen on.
        addresses: Where MLflow's and Evidently's pages are.

    Returns:
        The server.

    Raises:
        OSError: The port is taken.
    """
    alone = threading.Lock()

    def page(path: str) -> Path | None:
        """The file of what was asked for, which is made where it is the overview; None where there is none."""
        if path == "/":
            with alone:
                return overview.write_overview(settings, problem, addresses)
        found = settings.monitor.folder / path.lstrip("/")
        return found if LINKED_PAGE.fullmatch(path) and found.is_file() else None

    return BoundedHttpServer((host, port), _make_handler(page))


def _make_handler(page: Callable[[str], Path | None]) -> type[BoundedRequestHandler]:
    class Handler(BoundedRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            if self.path == "/healthz":
                self._answer(b"ok")
                return
            found = page(self.path.partition("?")[0])
            if found is None:
                self.send_error(404, "There is no such page")
                return
            self._answer(found.read_bytes())

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            for name, value in _headers(content).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _headers(content: bytes) -> dict[str, str]:
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def main(host: str, port: str, mlflow: str, evidently: str) -> None:
    """Serve the overview until the process is ended.

    Exits with a message where the settings are wrong or the port is taken.

    Args:
        host: The address to listen on.
        port: The port to listen on.
        mlflow: The address of MLflow's pages.
        evidently: The address of Evidently's pages.
    """
    try:
        settings, problem = load_settings(), load_problem(overview.SHOWN_PARTS)
        addresses = overview.PageAddresses(mlflow, evidently)
        make_overview_server(settings, problem, host, int(port), addresses).serve_forever()
    except (SettingsError, ProblemError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
