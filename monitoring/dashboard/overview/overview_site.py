"""The overview page over HTTP, made anew for each reader, with what it links to: reports, cards, pages for people."""

import asyncio
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from monitoring.dashboard.overview import overview_page
from monitoring.dashboard.sites import HEALTH_PATH, READ_METHODS, get_first_part
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from service.http.asgi import AsgiApp, Headers, Message, Receive, Send
from service.http.refusals import RequestRefused

LINKED_PAGE = re.compile(r"/(reports/\d{4}-\d\d-\d\d|cards)/[a-z0-9-]+\.html")


def make_overview_site(
    settings: Settings, problem: Problem, addresses: overview_page.PageAddresses, parts: Mapping[str, AsgiApp]
) -> AsgiApp:
    """Make the ASGI application of the overview, and of the pages for people below it.

    Args:
        settings: The settings, for the overview.
        problem: The user's problem, for the overview.
        addresses: Where MLflow's and Evidently's pages are.
        parts: By first part of a path, such as "/approvals", the application that answers there.

    Returns:
        The application. Raises RequestRefused for another path (404) or method (405).
    """
    alone = threading.Lock()

    def read_page(path: str) -> bytes:
        """The page, which is made where it is the overview."""
        if path == HEALTH_PATH:
            return b"ok"
        if path == "/":
            with alone:
                return overview_page.write_overview(settings, problem, addresses).read_bytes()
        found: Path = settings.monitor.folder / path.lstrip("/")
        if not (LINKED_PAGE.fullmatch(path) and found.is_file()):
            raise RequestRefused(404, "there is no such page: the overview at / links to all that there are")
        return found.read_bytes()

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if part := parts.get(get_first_part(scope["path"])):
            return await part(scope, receive, send)
        if scope["method"] not in READ_METHODS:
            raise RequestRefused(
                405, f"{scope['method']} is not possible here: GET", headers=[(b"allow", b"GET, HEAD")]
            )
        content = await asyncio.to_thread(read_page, scope["path"])
        await send_page(send, content)

    return serve


async def send_page(
    send: Send,
    content: bytes,
    status: int = 200,
    media_type: bytes = b"text/html; charset=utf-8",
    headers: Headers = (),
) -> None:
    """Send a page, or a part of one, that no browser keeps.

    Args:
        send: ASGI's function.
        content: The body.
        status: The status of the answer.
        media_type: The type of the body.
        headers: Further headers.
    """
    length = b"%d" % len(content)
    own = [(b"content-type", media_type), (b"content-length", length), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": content})
