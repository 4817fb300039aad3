"""What an answer says, by the kind of task. It is worded here once, for the wire, the log and the OpenAPI document."""

from collections.abc import Callable
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from penumbra.core.task import Task
from penumbra.logs.schema import OutputValue
from penumbra.rules import DecisionValue

_typed_dict: Any = TypedDict  # called with fields that only the task knows
LEADING_FIELDS = {"prediction_id": str}
MARK_FIELDS = {
    "rules": NotRequired[list[str]],
    "review": NotRequired[bool],
    "failed_rules": NotRequired[list[str]],
    "fallback": NotRequired[Literal["live", "previous", "baseline"]],
}
COMMON_FIELDS = {"model_version": str, "logged": NotRequired[bool], **MARK_FIELDS}
ANSWER_DOC = """`logged` is there, and false, only where the prediction log couldn't be written: the id then finds nothing.
`rules` names the business rules that fired, `failed_rules` those that couldn't be applied; `review` is there, and true,
where people will look at it; `fallback` says what answered because the live model, or the canary, failed."""

AnswerBody = dict[str, Any]


def make_decision_function(task: Task, threshold: float) -> Callable[[Any], DecisionValue]:
    """A function from an output to the decision; `threshold` matters to a binary task only."""
    if task.kind == "binary":
        return lambda probability: bool(probability >= threshold)
    if task.kind == "multiclass":
        return lambda probabilities: task.classes[max(range(len(probabilities)), key=probabilities.__getitem__)]
    return lambda value: value


def make_answer_formatter(task: Task) -> Callable[[OutputValue, DecisionValue], AnswerBody]:
    """A function from output and decision to what is the task's own in an answer."""
    if task.kind == "binary":
        return lambda output, decision: {"probability": output, "decision": decision}
    if task.kind == "multiclass":
        return lambda output, decision: {"probabilities": _map_to_classes(task, output), "decision": decision}
    return lambda output, decision: {"value": output}


def build_answer_type(task: Task) -> Any:
    """The same as a type, for pydantic."""
    own: dict[str, Any] = {
        "binary": {"probability": float, "decision": bool},
        "multiclass": {"probabilities": _probabilities_type(task), "decision": Literal[*(task.classes or "?")]},
        "regression": {"value": float},
    }[task.kind]
    made = _typed_dict("Answer", {**LEADING_FIELDS, **own, **COMMON_FIELDS})
    made.__doc__ = ANSWER_DOC
    return made


def _map_to_classes(task: Task, output: Any) -> dict[str, float]:
    return dict(zip(task.classes, output, strict=True))


def _probabilities_type(task: Task) -> Any:
    return _typed_dict("Probabilities", dict.fromkeys(task.classes, float))
