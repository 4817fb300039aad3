"""The review page over HTTP: its files, the next cases, the answers, and the progress.

GET  /review, /review/page.css, …                the page and its files
GET  /review/next?mode=&reviewer=&count=         the cases to look at next; mode "adjudicate": those in conflict
GET  /review/progress?reviewer=                  what was done today, what is open, and what follows from it
POST /review/actions                             what a reviewer did, oldest first; the same token again changes nothing

Who the reviewer is follows from the key; only where no keys are set, on this machine alone, from `reviewer`.
"""

import asyncio
import datetime as dt
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec

from monitoring.dashboard.overview_site import send_page
from monitoring.dashboard.page_access import KEY_HOLDER
from monitoring.dashboard.review.cases import CaseReader
from monitoring.dashboard.review.progress import ProgressReader
from monitoring.dashboard.sites import READ_METHODS, REVIEW_PATH
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.reviews.desk import ReviewDesk, ReviewRefused
from penumbra.reviews.label_form import build_label_form
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import ActionKind, ReviewAction, Sureness
from service.http.access import KeyHolder, is_plain_name
from service.http.asgi import AsgiApp, Message, Receive, Send, read_json_body
from service.http.refusals import RequestRefused

MEDIA_TYPES = {".html": b"text/html", ".js": b"text/javascript", ".css": b"text/css"}
PAGE_FILE = "review.html"
PAGE_FILES = (PAGE_FILE, "review.css", "review.js", "drawing.js", "outbox.js")
ACTIONS_PATH, NEXT_PATH, PROGRESS_PATH = (f"{REVIEW_PATH}/{name}" for name in ("actions", "next", "progress"))
MAX_BODY_BYTES = 1 << 20
MAX_CASES, MAX_ACTIONS = 50, 100
SHOWING_KINDS = ("answer", "cannot_tell", "adjudicate")  # after these the page shows what models and rules say
Reply = tuple[bytes, bytes]  # media type and content


class SentAction(msgspec.Struct, forbid_unknown_fields=True):
    """What a reviewer did, as the page sends it; the fields are those of `ReviewAction`."""

    token: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    case: str
    kind: ActionKind
    label: dict[str, Any] = {}
    sureness: Sureness = ""
    note: str = ""


class SentActions(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request: the reviewer's name, and the actions in the order in which they were done."""

    actions: Annotated[list[SentAction], msgspec.Meta(min_length=1, max_length=MAX_ACTIONS)]
    reviewer: str = ""


class ReviewPage:
    """Answers the requests of the page. May be used by several threads."""

    def __init__(self, settings: Settings, problem: Problem) -> None:
        """Read and write the logs that `settings` name; labels are the contract's."""
        self._review = settings.review
        self._cases, self._desk = CaseReader(settings, problem), ReviewDesk(settings, problem)
        self._progress = ProgressReader(settings, problem)
        self._form = build_label_form(problem.schema)
        self._alone = threading.Lock()

    def read(self, path: str, query: Mapping[str, str], holder: KeyHolder) -> Reply:
        """Answer a GET.

        Args:
            path: The path.
            query: The parameters by name.
            holder: Who sends it.

        Returns:
            Media type and content.

        Raises:
            RequestRefused: 404 for a path that there isn't, 403 or 422 for a name that won't do.
        """
        name = PAGE_FILE if path == REVIEW_PATH else path.removeprefix(f"{REVIEW_PATH}/")
        if name in PAGE_FILES:
            file = Path(__file__).with_name(name)
            return MEDIA_TYPES[file.suffix] + b"; charset=utf-8", file.read_bytes()
        describe = {NEXT_PATH: self._describe_next, PROGRESS_PATH: self._describe_progress}.get(path)
        if describe is None:
            raise RequestRefused(404, f"there is no such page: the review page is at {REVIEW_PATH}")
        with self._alone:
            return _encode(describe(identify_reviewer(holder, query.get("reviewer", "")), query))

    def record(self, body: bytes, holder: KeyHolder) -> Reply:
        """Answer a POST: record actions one by one.

        Args:
            body: `SentActions` as JSON.
            holder: Who sends it.

        Returns:
            For each action its token, and either the case's `status` (with what models and rules `said` once it is
            answered) or the `error` for which it isn't recorded.

        Raises:
            RequestRefused: 403 or 422 for a name that won't do, 422 for another body, 503 where a log can't be written;
                actions before the failure are recorded then, and may be sent again.
        """
        try:
            sent = msgspec.json.decode(body, type=SentActions)
        except msgspec.MsgspecError as error:
            raise RequestRefused(422, f"nothing was recorded: {error}") from None
        reviewer = identify_reviewer(holder, sent.reviewer)
        if not reviewer:
            raise RequestRefused(422, "nothing was recorded: expected a name in the field reviewer")
        with self._alone:
            return _encode({"results": [self._record_one(reviewer, action) for action in sent.actions]})

    def _record_one(self, reviewer: str, sent: SentAction) -> dict[str, Any]:
        fields = msgspec.structs.asdict(sent)
        try:
            state = self._desk.record(ReviewAction(reviewer=reviewer, time=dt.datetime.now(dt.UTC), **fields))
        except ReviewRefused as refused:
            return {"token": sent.token, "error": str(refused)}
        except (OSError, sqlite3.Error):
            raise RequestRefused(503, "the review log can't be written: send this again") from None
        said = self._cases.describe_opinions(state) if sent.kind in SHOWING_KINDS else None
        return {"token": sent.token, "status": state.status, "said": said}

    def _describe_next(self, reviewer: str, query: Mapping[str, str]) -> dict[str, Any]:
        count, blind = query.get("count", "1"), self._review.blind
        number = min(int(count), MAX_CASES) if count.isdecimal() else 1
        queue = ReviewQueue.read(self._review.folder)
        has_conflicts = query.get("mode") == "adjudicate"
        found = queue.list_cases("conflict")[:number] if has_conflicts else queue.list_waiting(reviewer, number)
        cases = [self._cases.describe_case(state, not blind) for state in found if reviewer]
        if has_conflicts:
            cases = [{**case, "answers": _list_answers(state)} for case, state in zip(cases, found, strict=False)]
        return {"reviewer": reviewer, "form": self._form, "cases": cases}

    def _describe_progress(self, reviewer: str, query: Mapping[str, str]) -> dict[str, Any]:
        return {"reviewer": reviewer, **self._progress.describe_progress()}


def make_review_site(settings: Settings, problem: Problem) -> AsgiApp:
    """Make the ASGI application of the review page.

    Args:
        settings: The settings: where the logs are, and `review.blind`.
        problem: The user's problem, with schema and features.

    Returns:
        The application, which is given who sends a request as `guard_site` does. Raises RequestRefused.
    """
    page = ReviewPage(settings, problem)

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        holder, path = scope[KEY_HOLDER], scope["path"]
        if scope["method"] == "POST" and path == ACTIONS_PATH:
            body = await read_json_body(MAX_BODY_BYTES, scope, receive)
            media_type, content = await asyncio.to_thread(page.record, body, holder)
        elif scope["method"] in READ_METHODS:
            query = {name: each[-1] for name, each in parse_qs(scope["query_string"].decode("latin-1")).items()}
            media_type, content = await asyncio.to_thread(page.read, path, query, holder)
        else:
            raise RequestRefused(405, f"{scope['method']} is not possible here", headers=[(b"allow", b"GET, HEAD")])
        await send_page(send, content, media_type=media_type)

    return serve


def identify_reviewer(holder: KeyHolder, given: str) -> str:
    """Identify the reviewer of a request.

    Args:
        holder: Who holds the key that was sent; without a name where none was needed.
        given: The name that the page gave.

    Returns:
        The key's name, else the given one; "" where there is neither.

    Raises:
        RequestRefused: 403 where the given name isn't the key's, 422 where it isn't plain.
    """
    if holder.name:
        if given not in ("", holder.name):
            raise RequestRefused(403, f"this key is {holder.name}'s: what somebody else answered is sent with theirs")
        return holder.name
    if given and not is_plain_name(given):
        raise RequestRefused(422, "a name has at most 40 letters, digits, dots, dashes and underscores, a letter first")
    return given


def _list_answers(state: CaseState) -> list[dict[str, Any]]:
    return [
        {"reviewer": name, "kind": action.kind, "label": action.label, "sureness": action.sureness, "note": action.note}
        for name, action in state.actions.items()
        if action.kind != "skip"
    ]


def _encode(content: Any) -> Reply:
    return b"application/json", msgspec.json.encode(content)
