"""The overview page over HTTP, made anew for each reader, with the reports and cards that it leads to.

For `make dashboard`, which starts it: python -m flows.page.pages HOST PORT MLFLOW EVIDENTLY
"""

import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flows import overview
from settings import Settings, SettingsError, load

BESIDE = re.compile(r"/(reports/\d{4}-\d\d-\d\d|cards)/[a-z-]+\.html")


def server(chosen: Settings, host: str, port: int, addresses: overview.Addresses) -> ThreadingHTTPServer:
    """One that answers as soon as its `serve_forever` is called. Raises OSError where the port is taken."""
    alone = threading.Lock()

    def page(path: str) -> Path | None:
        """The file of what was asked for, which is made where it is the overview; None where there is none."""
        if path == "/":
            with alone:
                return overview.write(chosen, addresses)
        found = chosen.monitor.folder / path.lstrip("/")
        return found if BESIDE.fullmatch(path) and found.is_file() else None

    return ThreadingHTTPServer((host, port), _handler(page))


def _handler(page: Callable[[str], Path | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
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
            with suppress(ConnectionError):  # the reader is gone
                self.wfile.write(content)

        def log_message(self, format: str, *words: object) -> None:
            pass

    return Handler


def _headers(content: bytes) -> dict[str, str]:
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def main(host: str, port: str, mlflow: str, evidently: str) -> None:
    try:
        server(load(), host, int(port), overview.Addresses(mlflow, evidently)).serve_forever()
    except (SettingsError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
