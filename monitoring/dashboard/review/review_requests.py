"""The review page's requests: the next cases, the answers, and the progress."""

import datetime as dt
import re
import sqlite3
import threading
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from monitoring.dashboard.review.cases import CaseReader
from monitoring.dashboard.review.progress import ProgressReader
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.faulty_values import format_shown_value
from penumbra.reviews.answer_checks import ReviewRefused
from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.label_form import build_label_form
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import ActionKind, ReviewAction, Sureness
from service.http.access.access_control import KeyHolder, is_plain_name
from service.http.refusals import RequestRefused

MAX_CASES, MAX_ACTIONS = 50, 100
SHOWING_KINDS = ("answer", "adjudicate")  # after these the page shows what models and rules say


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


class ReviewRequests:
    """Answers the page's requests. May be used by several threads."""

    def __init__(self, settings: Settings, problem: Problem) -> None:
        """Read and write the logs that `settings` name; labels are the contract's."""
        self._review = settings.review
        self._cases, self._desk = CaseReader(settings, problem), ReviewDesk(settings, problem)
        self._progress = ProgressReader(settings, problem)
        self._question, self._form = problem.schema.QUESTION, build_label_form(problem.schema)
        self._alone = threading.Lock()

    def list_next(self, query: Mapping[str, str], holder: KeyHolder) -> dict[str, Any]:
        """List the cases that a reviewer looks at next.

        Args:
            query: `count`, how many (1; 50 at most); `mode`, "adjudicate" for cases in conflict; `reviewer`, see
                `identify_reviewer`.
            holder: Who sends it.

        Returns:
            The `reviewer`, the problem's `question`, the `form` of an answer, and the `cases`, none for nobody. Those
            in conflict have the `answers`.

        Raises:
            RequestRefused: See `identify_reviewer`; 422 for another count.
        """
        reviewer, number = identify_reviewer(holder, query.get("reviewer", "")), _read_count(query.get("count", "1"))
        has_conflicts = query.get("mode") == "adjudicate"
        with self._alone:
            queue = ReviewQueue.read(self._review.folder)
            found = queue.list_cases("conflict")[:number] if has_conflicts else queue.list_waiting(reviewer, number)
            cases = [self._cases.describe_case(state, not self._review.blind) for state in found if reviewer]
        if has_conflicts:
            cases = [{**case, "answers": _list_answers(state)} for case, state in zip(cases, found, strict=False)]
        return {"reviewer": reviewer, "question": self._question, "form": self._form, "cases": cases}

    def describe_progress(self) -> dict[str, Any]:
        """Return the progress of all reviewers, as `ProgressReader` describes it."""
        with self._alone:
            return self._progress.describe_progress()

    def record(self, body: bytes, holder: KeyHolder) -> dict[str, Any]:
        """Record actions one by one.

        Args:
            body: `SentActions` as JSON.
            holder: Who sends it.

        Returns:
            `results`: for each action its `token`, and either the case's `status` (with what models and rules `said`
            once it is answered) or the `error` for which it isn't recorded.

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
            return {"results": [self._record_one(reviewer, action) for action in sent.actions]}

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


def _read_count(given: str) -> int:
    if re.fullmatch("[0-9]{1,9}", given):
        return min(int(given), MAX_CASES)
    raise RequestRefused(422, f"count is {format_shown_value(given)}: expected a number of cases")


def _list_answers(state: CaseState) -> list[dict[str, Any]]:
    return [
        {"reviewer": name, "kind": action.kind, "label": action.label, "sureness": action.sureness, "note": action.note}
        for name, action in state.actions.items()
        if action.kind != "skip"
    ]
