"""The review queue: what the review log says of each case, and which case a reviewer looks at next."""

import datetime as dt
import functools
import hashlib
import heapq
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from penumbra.logs.append_log import is_line_whole, read_segment_sizes, read_tail
from penumbra.logs.segments import is_segment_fetched
from penumbra.reviews.records import ReviewAction, ReviewBlock, ReviewCase, ReviewClosure, ReviewNotice

CaseStatus = Literal["open", "conflict", "decided", "cannot tell", "defaulted", "outcome arrived"]
CASE_STATUSES: tuple[CaseStatus, ...] = get_args(CaseStatus)
UNFINISHED_STATUSES: tuple[CaseStatus, ...] = ("open", "conflict")  # of the cases that somebody has yet to decide
ANSWERS = ("answer", "cannot_tell")
KEPT_FOLDERS = 8
LogLine = ReviewCase | ReviewBlock | ReviewAction | ReviewClosure | ReviewNotice


@dataclass(frozen=True)
class CaseState:
    """A case with what people have done with it so far.

    Attributes:
        case: The row that was picked.
        picked: When it was picked (UTC).
        actions: Each reviewer's last action that wasn't undone.
        status: "decided" once as many reviewers as are asked agree (on the target), or one has adjudicated; "conflict"
            where they differ, or one gave an answer and the other couldn't tell; "cannot tell" where none of them
            could; "defaulted" where its time ran out before; "outcome arrived" where that came before people had
            decided; "open" otherwise.
        label: The contract's outcome columns with their values, of several that agree the last one's; empty unless the
            case is decided.
        decided: The action that decided the case, the last of those that agree; None unless the case is decided.
        history: All actions on the case, those that were undone included, the earliest first.
        notice: What the webhook was told last of the case; None where it was told nothing.
        closed: When it was found that the outcome has arrived (UTC); None where it wasn't.
    """

    case: ReviewCase
    picked: dt.datetime
    actions: Mapping[str, ReviewAction]
    status: CaseStatus
    label: Mapping[str, Any]
    decided: ReviewAction | None
    history: Sequence[ReviewAction]
    notice: ReviewNotice | None
    closed: dt.datetime | None = None

    @property
    def answered_by(self) -> list[str]:
        """Names of the reviewers who have answered, those who couldn't tell included."""
        return [name for name, action in self.actions.items() if action.kind != "skip"]

    def judge_until(self, time: dt.datetime) -> "CaseState":
        """Return the case as it stood at a `time` (UTC), by the actions that were done by then."""
        done = [action for action in self.history if action.time <= time]
        closed = self.closed if self.closed and self.closed <= time else None
        return _resolve_case(self.case, self.picked, done, self.notice, closed)


@dataclass(frozen=True)
class ReviewQueue:
    """All cases at one moment.

    Attributes:
        states: The cases by name, in the order in which they were picked.
        blocks: The blocks among whose rows they were drawn, in the order in which that was done.
        now: The moment (UTC).
    """

    states: Mapping[str, CaseState]
    blocks: Sequence[ReviewBlock]
    now: dt.datetime

    @classmethod
    def read(cls, folder: Path, now: dt.datetime | None = None, own: bool = False) -> "ReviewQueue":
        """Read the review log; of a folder that this process has read before, only what is new.

        Args:
            folder: The review log's folder, the setting `review.folder`; empty where it doesn't exist.
            now: The time (UTC) at which cases are due; the clock's by default.
            own: Whether to leave out the blocks and cases that other replicas picked.

        Returns:
            The queue, which doesn't change when the log does.
        """
        now = now or dt.datetime.now(dt.UTC)
        states, blocks = _keep_fold(folder.absolute()).read_on(now, own)
        return cls(states, blocks, now)

    @property
    def taken(self) -> dict[str, int]:
        """The end of what has been in a block, in bytes, by name of a segment of the prediction log."""
        taken: dict[str, int] = {}
        for block in self.blocks:
            for segment, (_, end) in block.spans.items():
                taken[segment] = max(end, taken.get(segment, 0))
        return taken

    def list_deferred(self) -> list[CaseState]:
        """Return the cases of rows that a rule deferred to people, in the order in which they were picked."""
        return [state for state in self.states.values() if state.case.picked]

    def list_waiting(self, reviewer: str, count: int) -> list[CaseState]:
        """List the cases that a reviewer looks at next.

        Those that decide a pending answer come first, the most urgent at the front; then the others by the day on which
        they were picked. Within a day each reviewer has an order of their own, so that two who work at the same time
        seldom look at the same case. What the reviewer has skipped comes last.

        Args:
            reviewer: The reviewer's name.
            count: How many to list at most.

        Returns:
            Open cases that the reviewer hasn't answered, the first one at the front.
        """
        waiting = [state for state in self.list_cases("open") if reviewer not in state.answered_by]
        return heapq.nsmallest(count, waiting, key=functools.partial(_rank, reviewer))

    def list_cases(self, status: CaseStatus) -> list[CaseState]:
        """Return the cases of a `status` in the order in which they were picked."""
        return [state for state in self.states.values() if state.status == status]

    def list_unfinished(self) -> list[CaseState]:
        """Return the cases that somebody has yet to decide, the oldest first."""
        found = [state for state in self.states.values() if state.status in UNFINISHED_STATUSES]
        return sorted(found, key=attrgetter("picked"))

    def list_half_answered(self) -> list[CaseState]:
        """Return the open cases that one person has answered and that wait for a second one."""
        return [state for state in self.list_cases("open") if state.answered_by]

    def count_statuses(self) -> dict[CaseStatus, int]:
        """Return how many cases have each status, those that none has included."""
        counts = Counter(state.status for state in self.states.values())
        return {status: counts[status] for status in CASE_STATUSES}


class _ReviewFold:
    """What the review log in a folder says so far, by process; the log is read on from where it was read to."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._positions: dict[Path, int] = defaultdict(int)
        self._pending: dict[Path, list[ReviewCase]] = defaultdict(list)  # cases whose block isn't there yet
        self._cases: dict[str, tuple[ReviewCase, dt.datetime]] = {}
        self._actions: dict[str, list[ReviewAction]] = defaultdict(list)
        self._notices: dict[str, ReviewNotice] = {}
        self._closed: dict[str, dt.datetime] = {}
        self._states: dict[str, CaseState] = {}
        self._blocks: list[ReviewBlock] = []
        self._deferred: list[str] = []  # the cases that decide a pending answer
        self._others: set[str] = set()  # cases that other replicas picked
        self._other_blocks: set[int] = set()  # by identity, as these lines are kept

    def read_on(self, now: dt.datetime, own: bool = False) -> tuple[dict[str, CaseState], list[ReviewBlock]]:
        """Take in what is new; return copies of the states of all cases, or own ones, and blocks."""
        with self._lock:
            sizes = read_segment_sizes(self._folder)
            if any(sizes.get(path, 0) < position for path, position in self._positions.items()):
                self._forget()
            known = len(self._cases)
            touched = [name for path in sizes for name in self._read_segment(path, sizes[path])]
            for name in filter(self._cases.__contains__, dict.fromkeys(touched)):
                actions, notice, closed = self._actions[name], self._notices.get(name), self._closed.get(name)
                self._states[name] = _resolve_case(*self._cases[name], actions, notice, closed)
            if len(self._cases) > known:  # segments needn't be in the order of time
                self._blocks.sort(key=attrgetter("number", "time"))
                self._states = dict(sorted(self._states.items(), key=lambda named: named[1].picked))
            waiting = {name: _apply_due_time(self._states[name], now) for name in self._deferred}
            states, blocks = {**self._states, **waiting}, list(self._blocks)
            if own and (self._others or self._other_blocks):
                states = {name: state for name, state in states.items() if name not in self._others}
                blocks = [block for block in blocks if id(block) not in self._other_blocks]
            return states, blocks

    def _read_segment(self, path: Path, size: int) -> list[str]:
        """Read a segment on; return the names of the cases that its new lines are about."""
        touched: list[str] = []
        while self._positions[path] < size and (content := read_tail(path, self._positions[path])):
            self._positions[path] += len(content)
            for line in filter(is_line_whole, content.splitlines()):
                with suppress(msgspec.MsgspecError):
                    touched.extend(self._take_in(path, _decode_line(line)))
        return touched

    def _take_in(self, path: Path, entry: LogLine) -> Sequence[str]:
        if isinstance(entry, ReviewCase) and entry.picked:
            return self._add_cases(path, [entry], entry.picked)
        if isinstance(entry, ReviewCase):
            self._pending[path].append(entry)
        if isinstance(entry, ReviewAction):
            if not (entry.token and any(entry.token == known.token for known in self._actions[entry.case])):
                self._actions[entry.case].append(entry)
            return [entry.case]
        if isinstance(entry, ReviewNotice):
            self._notices[entry.case] = max(self._notices.get(entry.case, entry), entry, key=attrgetter("time"))
            return [entry.case]
        if isinstance(entry, ReviewClosure):
            self._closed[entry.case] = min(self._closed.get(entry.case, entry.time), entry.time)
            return [entry.case]
        if not isinstance(entry, ReviewBlock):
            return ()
        self._blocks.append(entry)
        self._other_blocks.update([id(entry)] * is_segment_fetched(path))
        return self._add_cases(path, self._pending.pop(path, []), entry.time)

    def _add_cases(self, path: Path, cases: Sequence[ReviewCase], picked: dt.datetime) -> Sequence[str]:
        if is_segment_fetched(path):
            self._others.update(case.prediction for case in cases)
        for case in cases:
            self._cases.setdefault(case.prediction, (case, picked))
        self._deferred += [case.prediction for case in cases if case.due]
        return [case.prediction for case in cases]


_keep_fold = functools.lru_cache(maxsize=KEPT_FOLDERS)(_ReviewFold)
_decode_line = msgspec.json.Decoder(LogLine).decode


def _resolve_case(
    case: ReviewCase,
    picked: dt.datetime,
    actions: Iterable[ReviewAction],
    notice: ReviewNotice | None,
    closed: dt.datetime | None,
) -> CaseState:
    history = sorted(actions, key=attrgetter("time"))
    last = _apply_undo(history)
    status, decided = _judge(case, sorted(last.values(), key=attrgetter("time")))
    status = "outcome arrived" if closed and status in UNFINISHED_STATUSES else status
    return CaseState(case, picked, last, status, decided.label if decided else {}, decided, history, notice, closed)


def _apply_undo(actions: Iterable[ReviewAction]) -> dict[str, ReviewAction]:
    """Each reviewer's last action that wasn't undone."""
    standing: dict[str, list[ReviewAction]] = defaultdict(list)
    for action in actions:
        if action.kind != "undo":
            standing[action.reviewer].append(action)
        elif standing[action.reviewer]:
            standing[action.reviewer].pop()
    return {reviewer: own[-1] for reviewer, own in standing.items() if own}


def _judge(case: ReviewCase, actions: Sequence[ReviewAction]) -> tuple[CaseStatus, ReviewAction | None]:
    """The status that follows from the reviewers' last actions, the earliest first, and which of them decides."""
    if adjudicated := [action for action in actions if action.kind == "adjudicate"]:
        return "decided", adjudicated[-1]
    answers = [action for action in actions if action.kind == "answer"]
    if not all(answer.agrees_with(answers[0]) for answer in answers):
        return "conflict", None
    if len(answers) >= case.reviewers:
        return "decided", answers[-1]
    if sum(action.kind in ANSWERS for action in actions) < case.reviewers:
        return "open", None
    return ("conflict" if answers else "cannot tell"), None


def _apply_due_time(state: CaseState, now: dt.datetime) -> CaseState:
    has_run_out = state.case.due is not None and state.case.due <= now
    return replace(state, status="defaulted") if has_run_out and state.status != "decided" else state


def _rank(reviewer: str, state: CaseState) -> tuple[Any, ...]:
    """What comes first in a reviewer's order is smallest."""
    name = state.case.prediction
    own = hashlib.blake2b(f"{reviewer} {name}".encode(), digest_size=8).digest()
    due = (0, state.case.due.timestamp()) if state.case.due else (1, 0.0)
    skipped = state.actions[reviewer].time.timestamp() if reviewer in state.actions else 0.0
    return skipped, *due, state.picked.date(), own
