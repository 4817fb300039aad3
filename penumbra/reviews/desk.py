"""The desk at which people answer: the one way by which an answer enters the review log, and becomes a label.

An action is in the review log first. The label that follows from it, or its being taken back, is appended to the label
log after that; where a process ends between the two, the next call or pass of any process appends it. The index of
labels says what is there already, so a decision is appended once.
"""

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pydantic import ConfigDict, ValidationError

from penumbra.core.contract.record_fields import build_model_fields
from penumbra.core.contract.record_models import STRICT_CONFIG, NamedModel, create_named_model
from penumbra.core.problem import Problem, ProblemSchema
from penumbra.core.settings import Settings
from penumbra.core.text.faulty_values import describe_expected_value, format_shown_value
from penumbra.logs.append_log import LogWriter, encode_json, read_segment_sizes
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.labels import LabelSpec
from penumbra.logs.replicas.shared_turn import take_shared_turn
from penumbra.logs.schema import REVIEW_SOURCE, LabelEntry
from penumbra.reviews.deferred import find_deferred_state, list_agreeing_actions
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import DECIDING_KINDS, ReviewAction, Sureness, put_time_after
from penumbra.storage.locks import hold_file_lock

DESK_LOCK_FILE = "desk.lock"
MAX_CLOCK_LEAD = dt.timedelta(minutes=5)  # by which another machine's clock may be ahead
MAX_NOTE_LENGTH, MAX_REVIEWER_LENGTH = 2_000, 100  # characters
SURENESS_FROM_LEAST: tuple[Sureness, ...] = ("guess", "likely", "sure")
TAKEN_BACK: Mapping[str, Any] = {}  # the label of an entry that takes back the case's label
# The labels of a prediction have its key, or none where the index hasn't met the prediction.
REVIEW_LABELS_QUERY = f"""
SELECT l.prediction, l.value, l.time FROM json_each(?) AS asked LEFT JOIN predictions AS p ON p.id = asked.value
JOIN labels AS l ON l.key IN ('', p.key) AND l.rank = 0 AND l.prediction = asked.value
WHERE l.source = '{REVIEW_SOURCE}' ORDER BY l.time, l.segment, l.position
"""


class ReviewRefused(ValueError):
    """An action isn't recorded; the message says what of it is wrong, and what was expected."""


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
            pairs = [(_require_case(queue, action), action) for action in actions]
            new = [(state, action) for state, action in pairs if not _is_repeated(state, action)]
            for state, action in new:
                _require_possible(state, action, now)
            if new:
                self._actions.recover()
                check()
                self._actions.append([encode_json(_put_in_order(*pair, now)) for pair in new])
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


def make_answer_reader(schema: ProblemSchema) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Make a function that reads the label of an answer by the contract, as `POST /feedback` reads its labels.

    Args:
        schema: The problem's schema.

    Returns:
        A function from the outcome columns' values, as JSON has them, to the same as the contract has them.

    Raises:
        ReviewRefused: By the function that is returned, for a label that the contract doesn't admit.
    """
    columns = build_model_fields(schema.Labelled)

    class Base(NamedModel):
        model_config = ConfigDict(**STRICT_CONFIG)

    members = {name: (columns[name][0], ...) for name in LabelSpec.from_schema(schema).outcome}
    model = create_named_model("Answer", Base, "What a person says the outcome is.", members)

    def read(label: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return model.model_validate_json(encode_json(label)).values
        except ValidationError as error:
            faults = (_describe_fault(item, model.nullable) for item in error.errors(include_url=False))
            raise ReviewRefused("; ".join(faults)) from None

    return read


def _describe_fault(item: Any, nullable: Collection[str]) -> str:
    value = "missing" if item["type"] == "missing" else f"is {format_shown_value(item['input'])}"
    return (
        f"{'.'.join(map(str, item['loc'])) or 'the label'} {value}: expected {describe_expected_value(item, nullable)}"
    )


def _require_case(queue: ReviewQueue, action: ReviewAction) -> CaseState:
    if state := queue.states.get(action.case):
        return state
    raise ReviewRefused(f"{action.case!r} is no case of the review queue: expected the id of a row that was picked")


def _is_repeated(state: CaseState, action: ReviewAction) -> bool:
    """Whether this very action was sent before, or says what the reviewer's last one on the case says."""
    if action.token and any(action.token == each.token for each in state.history):
        return True
    last = state.actions.get(action.reviewer)
    return last is not None and last.kind != "skip" and action.is_same_answer(last)


def _require_possible(state: CaseState, action: ReviewAction, now: dt.datetime) -> None:
    last, due = state.actions.get(action.reviewer), state.case.due
    if action.time > now + MAX_CLOCK_LEAD:
        raise ReviewRefused(
            f"it was done at {action.time:%Y-%m-%d %H:%M} UTC: expected none after {now:%Y-%m-%d %H:%M} UTC"
        )
    if action.kind == "undo" and last is None:
        raise ReviewRefused(f"{action.reviewer} has done nothing with {action.case} that could be undone")
    if action.kind == "adjudicate" and state.status != "conflict":
        raise ReviewRefused(f"{action.case} is {state.status}: expected a conflict to be adjudicated")
    if action.kind in ("answer", "cannot_tell", "skip") and last is not None and last.kind != "skip":
        raise ReviewRefused(f"{action.reviewer} has answered {action.case} already: undo that first")
    if due and due <= now and find_deferred_state(due, state, now).status == "decided":
        raise ReviewRefused(
            f"{action.case} was decided, and that counts since {due:%Y-%m-%d %H:%M} UTC: send what really happened to "
            f"POST /feedback"
        )


def _put_in_order(state: CaseState, action: ReviewAction, now: dt.datetime) -> ReviewAction:
    """The action no earlier than those that it follows on, nor than a default that counts already.

    The queue takes actions in the order of their times, and one that is imported was done before.
    """
    due, earlier = state.case.due, [each.time for each in state.history]
    is_late = due is not None and action.time <= due <= now
    time = put_time_after(now, [due]) if due and is_late else action.time
    return msgspec.structs.replace(action, time=put_time_after(time, earlier))


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
