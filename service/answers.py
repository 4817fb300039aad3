"""What an answer says, by the kind of task. It is worded here once, for the wire, the log and the OpenAPI document."""

from collections.abc import Callable
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from stores.predictions import Decision, Output
from task import Task

_typed_dict: Any = TypedDict  # called with fields that only the task knows
LEAD = {"prediction_id": str}
MARKS = {
    "rules": NotRequired[list[str]],
    "review": NotRequired[bool],
    "failed_rules": NotRequired[list[str]],
    "fallback": NotRequired[Literal["live", "previous", "baseline"]],
}
REST = {"model_version": str, "logged": NotRequired[bool], **MARKS}
DOC = """`logged` is there, and false, only where the prediction log couldn't be written: the id then finds nothing.
`rules` names the business rules that fired, `failed_rules` those that couldn't be applied; `review` is there, and true,
where people will look at it; `fallback` says what answered because the live model, or the canary, failed."""

Answer = dict[str, Any]


def deciding(task: Task, threshold: float) -> Callable[[Any], Decision]:
    """A function from an output to the decision; `threshold` matters to a binary task only."""
    if task.kind == "binary":
        return lambda probability: bool(probability >= threshold)
    if task.kind == "multiclass":
        return lambda probabilities: task.classes[max(range(len(probabilities)), key=probabilities.__getitem__)]
    return lambda value: value


def wording(task: Task) -> Callable[[Output, Decision], Answer]:
    """A function from output and decision to what is the task's own in an answer."""
    if task.kind == "binary":
        return lambda output, decision: {"probability": output, "decision": decision}
    if task.kind == "multiclass":
        return lambda output, decision: {"probabilities": _by_class(task, output), "decision": decision}
    return lambda output, decision: {"value": output}


def answer_type(task: Task) -> Any:
    """The same as a type, for pydantic."""
    own: dict[str, Any] = {
        "binary": {"probability": float, "decision": bool},
        "multiclass": {"probabilities": _classes(task), "decision": Literal[*(task.classes or "?")]},
        "regression": {"value": float},
    }[task.kind]
    made = _typed_dict("Answer", {**LEAD, **own, **REST})
    made.__doc__ = DOC
    return made


def _by_class(task: Task, output: Any) -> dict[str, float]:
    return dict(zip(task.classes, output, strict=True))


def _classes(task: Task) -> Any:
    return _typed_dict("Probabilities", dict.fromkeys(task.classes, float))
