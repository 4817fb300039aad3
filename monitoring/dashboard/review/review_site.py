"""The review page over HTTP: its files, the next cases, the answers, and the progress.

GET  /review, /review/review.css, …              the page and its files
GET  /review/worker.js                           what shows the page where the dashboard can't be reached
GET  /review/next?mode=&reviewer=&count=         the cases to look at next; mode "adjudicate": those in conflict
GET  /review/progress                            what was done today, what is open, and what follows from it
POST /review/actions                             what a reviewer did, oldest first; the same token again changes nothing

Who the reviewer is follows from the key; only where no keys are set, on this machine alone, from `reviewer`.
"""

import asyncio
import hashlib
from pathlib import Path
from urllib.parse import parse_qs

import msgspec

from monitoring.dashboard.overview.overview_site import send_page
from monitoring.dashboard.page_access import KEY_HOLDER
from monitoring.dashboard.review.review_requests import ReviewRequests
from monitoring.dashboard.sites import READ_METHODS, REVIEW_PATH
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from service.http.access.access_control import KeyHolder
from service.http.asgi import JSON_MEDIA_TYPE, AsgiApp, Message, Receive, Send, read_json_body
from service.http.refusals import RequestRefused

MEDIA_TYPES = {".html": b"text/html", ".js": b"text/javascript", ".css": b"text/css"}
PAGE_FILE = "review.html"
PAGE_FILES = {
    name: Path(__file__).with_name(name)
    for name in (PAGE_FILE, "review.css", "review.js", "drawing.js", "keys.js", "outbox.js")
} | {"base.css": Path(__file__).parent.with_name("base.css")}  # which the overview has, too
WORKER_FILE = Path(__file__).with_name("worker.js")
WORKER_SCOPE = (b"service-worker-allowed", REVIEW_PATH.encode())  # the page's path isn't below the worker's folder
ACTIONS_PATH, NEXT_PATH, PROGRESS_PATH = (f"{REVIEW_PATH}/{name}" for name in ("actions", "next", "progress"))
WORKER_PATH = f"{REVIEW_PATH}/{WORKER_FILE.name}"
MAX_BODY_BYTES = 1 << 20


def make_review_site(settings: Settings, problem: Problem) -> AsgiApp:
    """Make the ASGI application of the review page.

    Args:
        settings: The settings: where the logs are, and `review.blind`.
        problem: The user's problem, with schema and features.

    Returns:
        The application, which is given who sends a request as `guard_site` does. Raises RequestRefused.
    """
    requests = ReviewRequests(settings, problem)

    def read(path: str, query: bytes, holder: KeyHolder) -> tuple[bytes, bytes]:
        """Media type and content of what is read."""
        name = PAGE_FILE if path == REVIEW_PATH else path.removeprefix(f"{REVIEW_PATH}/")
        if file := PAGE_FILES.get(name):
            return MEDIA_TYPES[file.suffix] + b"; charset=utf-8", file.read_bytes()
        if path == NEXT_PATH:
            parameters = {name: each[-1] for name, each in parse_qs(query.decode("latin-1")).items()}
            return JSON_MEDIA_TYPE, msgspec.json.encode(requests.list_next(parameters, holder))
        if path == PROGRESS_PATH:
            return JSON_MEDIA_TYPE, msgspec.json.encode(requests.describe_progress())
        if path == WORKER_PATH:
            return MEDIA_TYPES[".js"] + b"; charset=utf-8", write_worker_script()
        raise RequestRefused(404, f"there is no such page: the review page is at {REVIEW_PATH}")

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        holder, path = scope[KEY_HOLDER], scope["path"]
        if scope["method"] == "POST" and path == ACTIONS_PATH:
            body = await read_json_body(MAX_BODY_BYTES, scope, receive)
            recorded = await asyncio.to_thread(requests.record, body, holder)
            media_type, content = JSON_MEDIA_TYPE, msgspec.json.encode(recorded)
        elif scope["method"] in READ_METHODS:
            media_type, content = await asyncio.to_thread(read, path, scope["query_string"], holder)
        else:
            raise RequestRefused(405, f"{scope['method']} is not possible here", headers=[(b"allow", b"GET, HEAD")])
        await send_page(send, content, media_type=media_type, headers=[WORKER_SCOPE] * (path == WORKER_PATH))

    return serve


def write_worker_script() -> bytes:
    """Return the service worker's script, headed by the paths of the page's files and by a digest of their content."""
    contents = {
        f"{REVIEW_PATH}/{name}".removesuffix(f"/{PAGE_FILE}"): file.read_bytes() for name, file in PAGE_FILES.items()
    }
    version = hashlib.sha256(msgspec.json.encode(contents)).hexdigest()
    files = msgspec.json.encode([*contents]).decode()
    return f'const VERSION = "{version}", FILES = {files};\n'.encode() + WORKER_FILE.read_bytes()
