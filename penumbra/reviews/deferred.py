"""Deferred answers: what people, or the default, decided of a prediction that a rule left to them.

The prediction log says that an answer is pending, until when, and what counts then; the review log says what people
have decided by now. Both are read, so an answer is known to be pending from the moment at which it was given.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from penumbra.core.settings import Settings
from penumbra.logs.labels import LabelSpec
from penumbra.registry.lineage import MAX_SHOWN_ID_LENGTH, UnknownPrediction, find_prediction
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import DECIDING_KINDS, ReviewAction

DeferredStatus = Literal["pending", "decided", "defaulted"]


class Deferral(msgspec.Struct):
    """Projection of a prediction to what its answer said of being pending."""

    pending: bool = False
    due: dt.datetime | None = None
    default: Any = None


class DeferredState(NamedTuple):
    """What has become of a deferred answer.

    Attributes:
        status: "decided" by people in time, "defaulted" where they weren't, "pending" until then.
        time: Since when the decision counts (UTC); None while it is pending.
        label: What people say that the outcome is; None but for "decided".
        reviewers: The people who decided.
    """

    status: DeferredStatus
    time: dt.datetime | None = None
    label: Mapping[str, Any] | None = None
    reviewers: Sequence[str] = ()


def describe_deferred_answer(
    settings: Settings, spec: LabelSpec, prediction_id: str, now: dt.datetime | None = None
) -> dict[str, Any]:
    """Say what has become of a deferred answer.

    Args:
        settings: The logs of predictions and reviews.
        spec: What the contract says of labels, by which a label of people is a decision.
        prediction_id: The id that came with the answer.
        now: The time (UTC); the clock's by default.

    Returns:
        "prediction_id", "status" (as in `DeferredState`), "due" and "default". With a decision also that ("decision",
        null where people say that there was no outcome) and since when it counts ("decided_at"); where people decided
        also "label", the outcome columns' values, and "reviewers".

    Raises:
        UnknownPrediction: The id isn't in the log, the archive that has it is damaged, or its answer wasn't deferred.
        StoreError: As `find_prediction` raises it.
    """
    now = now or dt.datetime.now(dt.UTC)
    deferral = msgspec.convert(find_prediction(settings, prediction_id), Deferral)
    if deferral.due is None:
        raise UnknownPrediction(
            f"{prediction_id[:MAX_SHOWN_ID_LENGTH]} was not left to people: its answer was final, see the field "
            f"`pending` of answers"
        )
    case = ReviewQueue.read(settings.review.folder, now).states.get(prediction_id)
    state = find_deferred_state(deferral.due, case, now)
    told = {"prediction_id": prediction_id, "status": state.status, "due": deferral.due, "default": deferral.default}
    if state.time is None:
        return told
    if state.label is None:
        return {**told, "decision": deferral.default, "decided_at": state.time}
    (decision,) = spec.compute_targets([state.label]).to_list()
    people = {"label": state.label, "reviewers": state.reviewers}
    return {**told, "decision": decision, "decided_at": state.time, **people}


def find_deferred_state(due: dt.datetime, case: CaseState | None, now: dt.datetime) -> DeferredState:
    """Find out what has become of a deferred answer.

    Args:
        due: When its default counts (UTC).
        case: The case at the time `now`; None where it wasn't picked yet.
        now: The time (UTC).

    Returns:
        Its state, by what people had said when it was `due`: what they say or take back after that changes labels, and
        nothing here.
    """
    case = case and case.judge_until(due)
    if case is not None and case.decided is not None:
        reviewers = sorted(action.reviewer for action in list_agreeing_actions(case))
        return DeferredState("decided", case.decided.time, case.label, reviewers)
    return DeferredState("pending") if now < due else DeferredState("defaulted", due)


def list_agreeing_actions(case: CaseState) -> list[ReviewAction]:
    """Return the actions on a decided `case` that say what was decided."""
    given = [each for each in case.actions.values() if each.kind in DECIDING_KINDS]
    return [each for each in given if case.decided and each.agrees_with(case.decided)]
