"""The desk at which people answer: the one way by which an answer enters the review log, and becomes a label.

An action is in the review log first. The label that follows from it, or its being taken back, is appended to the label
log after that; where a process ends between the two, the next call or pass of any process appends it. The index of
labels says what is there already, so a decision is appended once.
"""

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.logs.append_log import LogWriter, encode_json, read_segment_sizes
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.replicas.shared_turn import take_shared_turn
from penumbra.logs.schema import REVIEW_SOURCE, LabelEntry
from penumbra.reviews.answer_checks import (
    ReviewRefused,
    is_repeated,
    make_answer_reader,
    put_in_order,
    require_case,
    require_possible,
)
from penumbra.reviews.deferred import list_agreeing_actions
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import DECIDING_KINDS, ReviewAction, Sureness, put_time_after
from penumbra.storage.locks import hold_file_lock

DESK_LOCK_FILE = "desk.lock"
MAX_NOTE_LENGTH, MAX_REVIEWER_LENGTH = 2_000, 100  # characters
SURENESS_FROM_LEAST: tuple[Sureness, ...] = ("guess", "likely", "sure")
TAKEN_BACK: Mapping[str, Any] = {}  # the label of an entry that takes back the case's label
# The labels of a prediction have its key, or none where the index hasn't met the prediction.
REVIEW_LABELS_QUERY = f"""
SELECT l.prediction, l.value, l.time FROM json_each(?) AS asked LEFT JOIN predictions AS p ON p.id = asked.value
JOIN labels AS l ON l.key IN ('', p.key) AND l.rank = 0 AND l.prediction = asked.value
WHERE l.source = '{REVIEW_SOURCE}' ORDER BY l.time, l.segment, l.position
"""


class LoggedAnswer(NamedTuple):
    """A label of people as the label log has it: its JSON, and its time in seconds since 1970."""

    label: str = "{}"
    time: float = 0.0


class ReviewDesk:
    """Records what people do with cases. Any number of processes and threads may have one; they take turns."""

    def __init__(self, settings: Settings, problem: Problem) -> None:
        """Open the logs that `settings` name; nothing is written yet."""
        rotation = settings.log.segment_mb, settings.limit_segment_hours(settings.log.segment_hours)
        self._settings, self._folder = settings, settings.review.folder
        self._actions = LogWriter(settings.review.folder, *rotation)
        self._labels = LogWriter(settings.labels.folder, *rotation)
        self._index = LogIndex.from_settings(settings, problem.schema)
        self._read_label = make_answer_reader(problem.schema)
        self._settled: dict[Path, int] = {}
        self._states: Mapping[str, CaseState] = {}

    def record(self, action: ReviewAction, now: dt.datetime | None = None) -> CaseState:
        """Record what a person did with a case, and log the label that follows from it, as `record_all` does.

        Args:
            action: The action.
            now: The time (UTC) at which it arrives; the clock's by default.

        Returns:
            The case after it.

        Raises:
            ReviewRefused: As in `record_all`.
            OSError: One of the logs can't be written.
        """
        return self.record_all([action], now)[0]

    def record_all(self, actions: Sequence[ReviewAction], now: dt.datetime | None = None) -> list[CaseState]:
        """Record what people did with cases, and log the labels that follow from it: all of it, or nothing.

        An action that is there already, such as one that is imported twice, changes nothing.

        Args:
            actions: The actions, each on another case; the values of their labels as JSON has them.
            now: The time (UTC) at which they arrive; the clock's by default.

        Returns:
            The case of each action after it.

        Raises:
            ReviewRefused: There is no such case, a label isn't the contract's, or an action can't follow on the case's
                actions so far.
            ValueError: Two actions are on the same case, so that one would have to follow on the other.
            OSError: One of the logs can't be written.
        """
        now = now or dt.datetime.now(dt.UTC)
        actions = [self._check_content(action) for action in actions]
        if repeated := [name for name, count in Counter(each.case for each in actions).items() if count > 1]:
            raise ValueError(f"several actions at once are on case {repeated[0]}: expected one")
        with self._take_turn() as check:
            queue = self._settle(now, check)
            pairs = [(require_case(queue, action), action) for action in actions]
            new = [(state, action) for state, action in pairs if not is_repeated(state, action)]
            for state, action in new:
                require_possible(state, action, now)
            if new:
                self._actions.recover()
                check()
                self._actions.append([encode_json(put_in_order(*pair, now)) for pair in new])
                queue = self._settle(now, check)
            return [queue.states[action.case] for action in actions]

    def complete(self, now: dt.datetime | None = None) -> None:
        """Log the labels that follow from the review log and aren't in the label log, as a process was killed.

        Args:
            now: The time (UTC) at which they arrive; the clock's by default.

        Raises:
            OSError: The label log can't be written.
            sqlite3.OperationalError: The index of labels is busy for longer than a minute, or can't be written.
        """
        if read_segment_sizes(self._folder) != self._settled:
            with self._take_turn() as check:
                self._settle(now or dt.datetime.now(dt.UTC), check)

    def close(self) -> None:
        """Close the segments of both logs that are open."""
        self._actions.close()
        self._labels.close()

    @contextlib.contextmanager
    def _take_turn(self) -> Iterator[Callable[[], None]]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (
            hold_file_lock(self._folder / DESK_LOCK_FILE),
            take_shared_turn(self._settings, "reviews", ("reviews", "labels")) as check,
        ):
            try:
                yield check
            finally:
                if self._settings.cluster.state:  # what isn't closed isn't shipped
                    self.close()

    def _settle(self, now: dt.datetime, check: Callable[[], None]) -> ReviewQueue:
        """Log the labels that are missing, under the lock, after `check`; return the queue that they follow from."""
        sizes = read_segment_sizes(self._folder)
        queue = ReviewQueue.read(self._folder, now)
        if changed := [state for name, state in queue.states.items() if self._states.get(name) is not state]:
            logged = self._read_logged([state.case.prediction for state in changed])
            entries = [encode_json(label) for label in _list_missing_labels(changed, logged, now)]
            if entries:
                self._labels.recover()
                check()
                self._labels.append(entries)
        self._settled, self._states = sizes, queue.states
        return queue

    def _read_logged(self, predictions: Sequence[str]) -> dict[str, LoggedAnswer]:
        """What the label log says last of cases, by the ids of their predictions."""
        self._index.catch_up()
        with self._index.open() as db:
            found = db.execute(REVIEW_LABELS_QUERY, (encode_json(predictions).decode(),))
            return {name: LoggedAnswer(*said) for name, *said in found}

    def _check_content(self, action: ReviewAction) -> ReviewAction:
        if not 0 < len(action.reviewer.strip()) <= MAX_REVIEWER_LENGTH:
            raise ReviewRefused(
                f"the reviewer's name is {action.reviewer[:MAX_REVIEWER_LENGTH]!r}: expected 1 to "
                f"{MAX_REVIEWER_LENGTH} characters"
            )
        if len(action.note) > MAX_NOTE_LENGTH:
            raise ReviewRefused(f"the note has {len(action.note)} characters: expected at most {MAX_NOTE_LENGTH}")
        if action.kind in DECIDING_KINDS:
            label = msgspec.json.decode(encode_json(self._read_label(action.label)))  # as the log has it
            (target,) = self._index.label_spec.compute_targets([label]).to_list()
            return msgspec.structs.replace(action, label=label, target=target)
        if action.label:
            raise ReviewRefused(f"{action.kind!r} came with the label {dict(action.label)}: expected none")
        return action


def _list_missing_labels(
    states: Sequence[CaseState], logged: Mapping[str, LoggedAnswer], now: dt.datetime
) -> Iterator[LabelEntry]:
    """Yield a label for each case about which the label log says something else than the review log.

    It is later than what it replaces, as the index of labels goes by their times.
    """
    for state in states:
        name = state.case.prediction
        last = logged.get(name, LoggedAnswer())
        label = state.label if state.decided else TAKEN_BACK
        if encode_json(label).decode() != last.label:
            time = put_time_after(now, [dt.datetime.fromtimestamp(last.time, dt.UTC)])
            yield _make_label(state, time) if state.decided else LabelEntry(time, REVIEW_SOURCE, {}, prediction=name)


def _make_label(state: CaseState, time: dt.datetime) -> LabelEntry:
    case = state.case
    agreeing = list_agreeing_actions(state)
    said = {each.sureness for each in agreeing}
    return LabelEntry(
        time,
        REVIEW_SOURCE,
        state.label,
        prediction=case.prediction,
        reviewers=sorted(each.reviewer for each in agreeing),
        reasons=case.reasons,
        probability=case.probability,
        sureness=next((each for each in SURENESS_FROM_LEAST if each in said), ""),
        note=" / ".join(each.note for each in agreeing if each.note),
    )
