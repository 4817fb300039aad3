"""The page of approvals over HTTP: GET shows what waits, POST answers under the name of the key's holder."""

import asyncio
import threading
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

from monitoring.dashboard.approvals.evidence import describe_evidence
from monitoring.dashboard.overview.overview_site import send_page
from monitoring.dashboard.page_access import KEY_HOLDER
from monitoring.dashboard.page_templates import render_page
from monitoring.dashboard.sites import APPROVALS_PATH, READ_METHODS
from monitoring.windows.window_store import DamagedWindow
from penumbra.approvals.announcements import announce_approvals
from penumbra.approvals.answers import MAX_REASON_LENGTH, ApprovalAnswer, record_answer
from penumbra.approvals.requests import (
    ACCEPT_COLUMNS,
    ACCEPT_DAYS,
    APPROVE,
    DECLINE,
    KEEP,
    ApprovalRefused,
    ApprovalRequest,
    Choice,
    list_requests,
)
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.masking import mask_text
from penumbra.registry.aliases import AliasesChanged
from penumbra.registry.errors import MlflowException
from penumbra.registry.history.ledger_entries import BrokenLedger
from penumbra.registry.history.shared_ledger import BRIEF_PATIENCE_SECONDS, open_ledger
from penumbra.storage.sealed import DamagedFile
from penumbra.storage.shared.store_failures import StoreError
from service.http.asgi import AsgiApp, Message, Receive, Send
from service.http.refusals import RequestRefused

MAX_FORM_BYTES = 16 << 10
MAX_ENDED = 20  # requests that have ended, the latest
NAMELESS_MESSAGE = "an admin key names nobody: to answer here takes a key of the role approve"
TO_APPROVE = [(APPROVE, "Approve"), (DECLINE, "Decline")]
TO_END = [(ACCEPT_DAYS, "No fault on these days"), (ACCEPT_COLUMNS, "No fault, ever"), (KEEP, "The fault is confirmed")]
BUTTONS = {"promotion": TO_APPROVE, "retraining": TO_APPROVE, "investigation": TO_END}
ANSWER_ERRORS = (ApprovalRefused, AliasesChanged, BrokenLedger, DamagedFile, DamagedWindow, MlflowException, StoreError)


def make_approvals_site(settings: Settings, problem: Problem, is_answerable: bool) -> AsgiApp:
    """Make the ASGI application of the page.

    Args:
        settings: Sections [ledger], [registry], [monitor] and [review], and those that the index of the logs needs.
        problem: The user's problem, with the schema.
        is_answerable: Whether there are keys to approve; without any the page shows the command instead.

    Returns:
        The application. Raises RequestRefused for an answer with an admin key, which names nobody (403), another path
        (404), a form that isn't the page's (400), one that is too large (413), and where the ledger isn't whole (503).
    """
    alone = threading.Lock()

    def answer(answered: ApprovalAnswer) -> tuple[bytes, int]:
        with alone:
            try:
                said, status = record_answer(settings, answered), 200
            except ANSWER_ERRORS as error:
                said, status = mask_text(str(error).splitlines()[0]), 409
            return _render_page(settings, problem, is_answerable, said, status != 200), status

    def show() -> bytes:
        with alone:
            return _render_page(settings, problem, is_answerable)

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] in READ_METHODS:
            _require_path(scope["path"] == APPROVALS_PATH)
            return await send_page(send, await asyncio.to_thread(show))
        if "approve" not in scope[KEY_HOLDER].roles:
            raise RequestRefused(403, NAMELESS_MESSAGE)
        answered = _parse_answer(scope, await _read_form(receive))
        await send_page(send, *await asyncio.to_thread(answer, answered))
        await asyncio.to_thread(announce_approvals, settings)  # who answers needn't wait for the webhook

    return serve


def _render_page(
    settings: Settings, problem: Problem, is_answerable: bool, said: str = "", is_refused: bool = False
) -> bytes:
    try:
        entries = open_ledger(settings, BRIEF_PATIENCE_SECONDS).entries()
    except (BrokenLedger, StoreError) as error:
        raise RequestRefused(503, str(error)) from None
    requests = [each.require_approvers(settings.promotion.approvers) for each in list_requests(entries)]
    ended = [each for each in requests if each.status != "waiting"]
    facts: dict[str, Any] = {
        "model": settings.registry.model,
        "said": said,
        "is_refused": is_refused,
        "is_answerable": is_answerable,
        "max_reason": MAX_REASON_LENGTH,
        "choices": BUTTONS,
        "requests": [
            describe_evidence(settings, problem, entries, each) for each in requests if each.status == "waiting"
        ],
        "ended": [_describe_end(each) for each in reversed(ended[-MAX_ENDED:])],
    }
    return render_page(Path(__file__).parent, "approvals.html", facts).encode()


def _describe_end(request: ApprovalRequest) -> dict[str, str]:
    last = request.answers[-1]
    return {
        "number": str(request.number),
        "what": str(request),
        "how": f"{request.status}: {last.reason}",
        "who": last.actor if request.status == "void" else " and ".join(request.list_approvers(request.choice)),
    }


async def _read_form(receive: Receive) -> dict[str, str]:
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body, is_more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > MAX_FORM_BYTES:
            raise RequestRefused(413, f"the form is larger than {MAX_FORM_BYTES:,} bytes")
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _parse_answer(scope: Message, form: dict[str, str]) -> ApprovalAnswer:
    number = scope["path"].removeprefix(f"{APPROVALS_PATH}/")
    _require_path(number.isascii() and number.isdigit() and len(number) < 10)
    choice = form.get("choice", "")
    if choice not in {each for each, _ in TO_APPROVE + TO_END}:
        raise RequestRefused(400, "choice has to be one of the page's buttons")
    return ApprovalAnswer(int(number), scope[KEY_HOLDER].name, cast(Choice, choice), form.get("reason", ""), "page")


def _require_path(is_known: bool) -> None:
    if not is_known:
        raise RequestRefused(404, f"there is no such page: {APPROVALS_PATH} has all that waits")
