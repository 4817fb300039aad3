"""The form of an answer, on the review page as in Label Studio, and how people read labels and predictions."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from penumbra.core.predictions import is_of_another_task
from penumbra.core.problem import ProblemSchema
from penumbra.core.task import Task

YES_NO = {True: "yes", False: "no", None: "none"}


def build_label_form(schema: ProblemSchema) -> list[dict[str, Any]]:
    """Build the fields that a reviewer fills in, from the contract's outcome columns.

    Args:
        schema: The problem's schema.

    Returns:
        For each column its `name`, its `kind` ("boolean", "classes", "number", "whole", "text"), whether it may have no
        value (`nullable`), whether the target is made of it (`tells_target`), of classes the `classes`, and the bounds
        `min` and `max` of a number that the contract states.
    """
    given, read = schema.Row.columns(), set(schema.target().meta.root_names())
    outcomes = {name: column for name, column in schema.Labelled.columns().items() if name not in given}
    return [_make_field(name, column) | {"tells_target": name in read} for name, column in outcomes.items()]


def _make_field(name: str, column: Any) -> dict[str, Any]:
    dtype, field = column.dtype, {"name": name, "nullable": column.nullable}
    if dtype == pl.Boolean:
        return {**field, "kind": "boolean"}
    if isinstance(dtype, pl.Enum):
        return {**field, "kind": "classes", "classes": dtype.categories.to_list()}
    if not dtype.is_integer() and not dtype.is_float():
        return {**field, "kind": "text"}
    bounds = {bound: getattr(column, bound, None) for bound in ("min", "max")}
    kind = "whole" if dtype.is_integer() else "number"
    return {**field, "kind": kind, **{bound: value for bound, value in bounds.items() if value is not None}}


def format_target(task: Task, target: Any) -> str:
    """Format a target as people read it.

    Args:
        task: The problem's task.
        target: A bool, a class by its code or name, or a number.

    Returns:
        "yes" or "no", the class, or the number.
    """
    if task.kind == "binary":
        return YES_NO[target]
    if task.kind == "multiclass":
        return target if isinstance(target, str) else task.classes[int(target)]
    return _format_number(target)


def format_output(task: Task, output: float | Sequence[float]) -> str:
    """Format a model's output as people read it.

    Args:
        task: The problem's task.
        output: As in `PredictionEntry`.

    Returns:
        Such as "probability 0.62", "fog 0.61, haze 0.30, clear 0.09", or the value; of an answer that was given while
        the task was another one that it was.
    """
    if is_of_another_task(task, output):
        return "an answer of another task"
    if task.kind == "binary":
        return f"probability {output:.2f}"
    if task.kind == "multiclass" and isinstance(output, Sequence):
        ranked = sorted(zip(output, task.classes, strict=True), reverse=True)
        return ", ".join(f"{name} {share:.2f}" for share, name in ranked)
    return _format_number(output)


def _format_number(value: Any) -> str:
    """Six digits; of a larger number all before the point."""
    return f"{value:.6g}" if abs(value) < 1e5 else f"{value:.0f}"
