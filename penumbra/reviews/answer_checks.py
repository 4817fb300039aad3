"""What an action of people has to be: by the contract, by its case, and by what was done with that before."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from pydantic import ConfigDict, ValidationError

from penumbra.core.contract.record_fields import build_model_fields
from penumbra.core.contract.record_models import STRICT_CONFIG, NamedModel, create_named_model
from penumbra.core.problem import ProblemSchema
from penumbra.core.text.faulty_values import describe_expected_value, format_shown_value
from penumbra.logs.append_log import encode_json
from penumbra.logs.labels import LabelSpec
from penumbra.reviews.deferred import find_deferred_state
from penumbra.reviews.queue import CaseState, ReviewQueue
from penumbra.reviews.records import ReviewAction, put_time_after

MAX_CLOCK_LEAD = dt.timedelta(minutes=5)  # by which another machine's clock may be ahead


class ReviewRefused(ValueError):
    """An action isn't recorded; the message says what of it is wrong, and what was expected."""


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


def require_case(queue: ReviewQueue, action: ReviewAction) -> CaseState:
    """Find the case that an action is about.

    Args:
        queue: The review queue.
        action: The action.

    Returns:
        The case's state.

    Raises:
        ReviewRefused: The queue has no such case.
    """
    if state := queue.states.get(action.case):
        return state
    raise ReviewRefused(f"{action.case!r} is no case of the review queue: expected the id of a row that was picked")


def is_repeated(state: CaseState, action: ReviewAction) -> bool:
    """Tell whether an action says nothing new.

    Args:
        state: The state of its case.
        action: The action.

    Returns:
        Whether this very action was sent before, or says what the reviewer's last one on the case says.
    """
    if action.token and any(action.token == each.token for each in state.history):
        return True
    last = state.actions.get(action.reviewer)
    return last is not None and last.kind != "skip" and action.is_same_answer(last)


def require_possible(state: CaseState, action: ReviewAction, now: dt.datetime) -> None:
    """Check that an action is possible where its case stands.

    Args:
        state: The state of its case.
        action: The action.
        now: The time (UTC).

    Raises:
        ReviewRefused: It isn't: there is nothing to undo or to adjudicate, the reviewer has answered already, a default
            counts by now, or it was done in the future.
    """
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


def put_in_order(state: CaseState, action: ReviewAction, now: dt.datetime) -> ReviewAction:
    """Date an action no earlier than those that it follows on, nor than a default that counts already.

    The queue takes actions in the order of their times, and one that is imported was done before.

    Args:
        state: The state of its case.
        action: The action.
        now: The time (UTC).

    Returns:
        The action with that time.
    """
    due, earlier = state.case.due, [each.time for each in state.history]
    is_late = due is not None and action.time <= due <= now
    time = put_time_after(now, [due]) if due and is_late else action.time
    return msgspec.structs.replace(action, time=put_time_after(time, earlier))
