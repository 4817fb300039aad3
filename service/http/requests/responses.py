"""The fields of an answer by kind of task, defined once for response, prediction log and OpenAPI document."""

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from penumbra.core.attributions.additive_model import Scale
from penumbra.core.task import Task
from penumbra.logs.schema import OutputValue
from penumbra.rules import DecisionValue

_typed_dict: Any = TypedDict  # called with fields that only the task knows


class AttributionBody(TypedDict):
    """How far a feature moves the score; `value` is null where it is missing, or no value of training."""

    feature: str
    value: float | str | bool | None
    attribution: float


class ExplanationBody(TypedDict):
    """Exact Shapley values: `expected` and all `attributions` add up to `score`.

    That is what the model says before any rule, on this scale, and of several classes of `explained_class`, the most
    probable one. `expected` is the score without knowing any feature.
    """

    scale: Scale
    explained_class: NotRequired[str]
    expected: float
    score: float
    attributions: list[AttributionBody]


LEADING_FIELDS = {"prediction_id": str}
MARK_FIELDS = {
    "rules": NotRequired[list[str]],
    "review": NotRequired[bool],
    "failed_rules": NotRequired[list[str]],
    "fallback": NotRequired[Literal["live", "previous", "baseline"]],
    "pending": NotRequired[bool],
    "due": NotRequired[dt.datetime],
    "explore_share": NotRequired[float],
    "explored": NotRequired[bool],
}
MARK_NAMES = (*MARK_FIELDS, "default")  # of what the log has, too
COMMON_FIELDS = {"model_version": str, "logged": NotRequired[bool], **MARK_FIELDS}
ANSWER_DOC = """\
`logged` is there, and false, only where the prediction log couldn't be written: the id then finds nothing.
`rules` names the business rules that fired, `failed_rules` those that couldn't be applied; `review` is there, and true,
where people will look at it; `fallback` says what answered because the live model, or the canary, failed. `pending` is
there, and true, where people decide: what `GET /reviews/{id}` says counts then, and from `due` on at the latest.
`explored` is there, and true, where the decision was replaced with the chance `explore_share`, to see its outcome.
`uncertainty` and `explanation` are there where they were asked for, null where a rule, or the baseline, answered."""

REVIEW_FIELDS = {"status": Literal["pending", "decided", "defaulted"], "due": dt.datetime}
REVIEWER_FIELDS = {"label": NotRequired[dict[str, Any]], "reviewers": NotRequired[list[str]]}
REVIEW_DOC = """\
`decided` by people, with their `label` and the `decision` that follows from it, null where they say that there was no
outcome; `defaulted` where they hadn't until `due`, so that the `default` is the decision; `pending` until then."""

UNCERTAINTY_DOC = """\
The classes of `set`, or the `interval` with its ends, hold the truth in the share `coverage` of the cases, as far as
these are like those that the version was measured on; an end that is null isn't bounded."""

AnswerBody = dict[str, Any]


def make_decision_function(task: Task, threshold: float) -> Callable[[Any], DecisionValue]:
    """Return the function that turns a model's output into a decision.

    Args:
        task: The problem's task.
        threshold: The least probability of a positive decision; used by a binary task only.

    Returns:
        A function of an output: a bool for a binary task, the most probable class for a multi-class one, and the value
        itself for a regression.
    """
    if task.kind == "binary":
        return lambda probability: bool(probability >= threshold)
    if task.kind == "multiclass":
        return lambda probabilities: task.classes[max(range(len(probabilities)), key=probabilities.__getitem__)]
    return lambda value: value


def make_answer_formatter(task: Task) -> Callable[[str, OutputValue, DecisionValue, str], AnswerBody]:
    """Return the function that builds an answer without marks.

    Args:
        task: The problem's task.

    Returns:
        A function of prediction id, output, decision and model version; between the id and the version stand
        `probability` and `decision`, `probabilities` by class and `decision`, or `value`.
    """
    if task.kind == "binary":
        return lambda name, output, decision, model: {
            "prediction_id": name,
            "probability": output,
            "decision": decision,
            "model_version": model,
        }
    if task.kind == "multiclass":
        return lambda name, output, decision, model: {
            "prediction_id": name,
            "probabilities": _map_to_classes(task, output),
            "decision": decision,
            "model_version": model,
        }
    return lambda name, output, decision, model: {"prediction_id": name, "value": output, "model_version": model}


def build_answer_type(task: Task) -> Any:
    """Build the type of an answer, from which pydantic makes the JSON schema.

    Args:
        task: The problem's task.

    Returns:
        A TypedDict with the task's fields and those common to all tasks.
    """
    task_fields: dict[str, Any] = {
        "binary": {"probability": float, "decision": bool},
        "multiclass": {"probabilities": _probabilities_type(task), "decision": build_decision_type(task)},
        "regression": {"value": float},
    }[task.kind]
    more = {
        "default": NotRequired[build_decision_type(task)],
        "explanation": NotRequired[ExplanationBody | None],
        "uncertainty": NotRequired[build_uncertainty_type(task) | None],
    }
    answer_type = _typed_dict("Answer", {**LEADING_FIELDS, **task_fields, **COMMON_FIELDS, **more})
    answer_type.__doc__ = ANSWER_DOC
    return answer_type


def build_review_type(task: Task) -> Any:
    """Build the type of what has become of a deferred answer, from which pydantic makes the JSON schema.

    Args:
        task: The problem's task.

    Returns:
        A TypedDict with the fields that `describe_deferred_answer` (penumbra/reviews/deferred.py) returns.
    """
    decision = build_decision_type(task)
    decided = {"decision": NotRequired[decision | None], "decided_at": NotRequired[dt.datetime]}
    fields = {**LEADING_FIELDS, **REVIEW_FIELDS, "default": decision, **decided, **REVIEWER_FIELDS}
    review_type = _typed_dict("Review", fields)
    review_type.__doc__ = REVIEW_DOC
    return review_type


def build_uncertainty_type(task: Task) -> Any:
    """Build the type of how sure an answer is, with the fields of `describe_uncertainty` (penumbra/core/metrics).

    Args:
        task: The problem's task.

    Returns:
        A TypedDict with the share that is promised, and the classes of the set or the ends of the interval.
    """
    decision: Any = build_decision_type(task)
    interval: dict[str, Any] = {"interval": tuple[float | None, float | None]}
    fields = interval if task.kind == "regression" else {"set": list[decision]}
    uncertainty_type = _typed_dict("Uncertainty", {"coverage": float, **fields})
    uncertainty_type.__doc__ = UNCERTAINTY_DOC
    return uncertainty_type


def build_decision_type(task: Task) -> Any:
    """Return the type of the `task`'s decisions: bool, a literal of the classes, or float."""
    return {"binary": bool, "multiclass": Literal[*(task.classes or "?")], "regression": float}[task.kind]


def _map_to_classes(task: Task, output: Any) -> dict[str, float]:
    return dict(zip(task.classes, output, strict=True))


def _probabilities_type(task: Task) -> Any:
    return _typed_dict("Probabilities", dict.fromkeys(task.classes, float))
