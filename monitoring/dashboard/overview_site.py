"""The overview page over HTTP, made anew for each reader, with what it links to: reports, cards, the review page."""

import asyncio
import re
import threading
from pathlib import Path

from monitoring.dashboard import overview
from monitoring.dashboard.review.review_site import make_review_site
from monitoring.dashboard.sites import READ_METHODS, REVIEW_PATH, get_first_part
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from service.http.asgi import AsgiApp, Message, Receive, Send
from service.http.refusals import RequestRefused

LINKED_PAGE = re.compile(r"/(reports/\d{4}-\d\d-\d\d|cards)/[a-z-]+\.html")
HEALTH_PATH = "/healthz"


def make_overview_site(settings: Settings, problem: Problem, addresses: overview.PageAddresses) -> AsgiApp:
    """Make the ASGI application of the overview.

    Args:
        settings: The settings, for the overview.
        problem: The user's problem, for the overview.
        addresses: Where MLflow's and Evidently's pages are.

    Returns:
        The application. Raises RequestRefused for another path (404) or method (405).
    """
    alone, review = threading.Lock(), make_review_site(settings, problem)

    def read_page(path: str) -> bytes:
        """The page, which is made where it is the overview."""
        if path == HEALTH_PATH:
            return b"ok"
        if path == "/":
            with alone:
                return overview.write_overview(settings, problem, addresses).read_bytes()
        found: Path = settings.monitor.folder / path.lstrip("/")
        if not (LINKED_PAGE.fullmatch(path) and found.is_file()):
            raise RequestRefused(404, "there is no such page: the overview at / links to all that there are")
        return found.read_bytes()

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if get_first_part(scope["path"]) == REVIEW_PATH:
            return await review(scope, receive, send)
        if scope["method"] not in READ_METHODS:
            raise RequestRefused(
                405, f"{scope['method']} is not possible here: GET", headers=[(b"allow", b"GET, HEAD")]
            )
        content = await asyncio.to_thread(read_page, scope["path"])
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(content)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return serve
