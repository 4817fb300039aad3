"""The checks of a business rule when it is loaded: its condition and its action suit the task and the contract."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import polars as pl

from penumbra.core.checks.type_checks import is_number
from penumbra.core.problem import ProblemSchema
from penumbra.core.task import Task
from penumbra.features import Feature
from penumbra.rules import (
    Answer,
    Between,
    Clamp,
    CloseCall,
    Defer,
    FewRows,
    OneOf,
    Outside,
    Override,
    Prediction,
    Rule,
)

PROBABILITY_SUM_TOLERANCE = 1e-6  # the probabilities of all classes add up to 1, but for this
MAX_DEFERRED_HOURS = 24 * 365.0
TASK_WORDS = {"binary": "true or false", "multiclass": "several classes", "regression": "a number"}


def find_rule_faults(rule: Rule, schema: ProblemSchema, task: Task) -> Iterator[str]:
    """Find what of a rule could never be applied, or would fail on each request.

    Args:
        rule: The rule, whose condition reads a column of the contract if it reads any.
        schema: The loaded schema, with the dtypes of the columns.
        task: What is predicted.

    Yields:
        A sentence for each fault.
    """
    when = rule.when
    if isinstance(when, FewRows) and when.below < 1:
        yield f"{_name(rule, when)}: expected a number of rows above 0"
    if isinstance(when, OneOf | Between):
        yield from _check_column_values(rule, schema.Row.columns()[when.column].dtype)
    if isinstance(when, CloseCall | Outside):
        yield from _check_prediction_condition(rule, task)
    yield from _check_action(rule, task)


def find_uncounted_columns(rules: Sequence[Rule], features: Sequence[Feature]) -> Iterator[str]:
    """Find rules that ask how often the model has met a value, of a column whose values aren't counted.

    Args:
        rules: The problem's rules.
        features: The problem's features.

    Yields:
        A sentence for each such rule.
    """
    counted = [feature.name for feature in features if feature.categorical]
    for rule in rules:
        if isinstance(rule.when, FewRows) and rule.when.column not in counted:
            yield (
                f"{_name(rule, rule.when)}, and {rule.when.column} is no Category of FEATURES, so that its values "
                f"aren't counted: expected {' or '.join(counted) or 'a problem with a Category'}"
            )


def _check_column_values(rule: Rule, dtype: Any) -> Iterator[str]:
    when: Any = rule.when
    if dtype.is_nested():
        found = f"{_name(rule, when)}, and {when.column} is {dtype}"
        yield f"{found}: expected a column of single values, or a condition of your own"
        return
    values = when.values if isinstance(when, OneOf) else (when.low, when.high)
    accepts = _is_in_column if isinstance(when, OneOf) else _is_comparable
    for value in values:
        if not accepts(value, dtype):
            yield f"{_name(rule, when)}, and {value!r} is no value of {when.column}: expected {dtype}"
            return
    if isinstance(when, Between) and when.low > when.high:
        yield f"{_name(rule, when)}: expected low up to high"


def _check_prediction_condition(rule: Rule, task: Task) -> Iterator[str]:
    when, target = rule.when, f"the target is {TASK_WORDS[task.kind]}"
    if isinstance(when, CloseCall) and task.kind == "regression":
        yield f"{_name(rule, when)}, and {target}, which hangs by nothing: expected Outside(low, high)"
    elif isinstance(when, CloseCall) and not 0 < when.margin <= 1:
        yield f"{_name(rule, when)}: expected a difference of probabilities, above 0 and up to 1"
    elif isinstance(when, Outside) and task.kind == "multiclass":
        yield f"{_name(rule, when)}, and {target}: expected CloseCall(margin), which compares the two most probable"
    elif isinstance(when, Outside):
        yield from _check_interval(rule, when, task)


def _check_action(rule: Rule, task: Task) -> Iterator[str]:
    then = rule.then
    if isinstance(then, Clamp) and task.kind == "multiclass":
        yield f"{_name(rule, then)}, and the target is {TASK_WORDS[task.kind]}: expected Override or Review"
    elif isinstance(then, Clamp):
        yield from _check_interval(rule, then, task)
    if isinstance(then, Defer) and not 0 < then.hours <= MAX_DEFERRED_HOURS:
        yield f"{_name(rule, then)}: expected hours above 0, up to {MAX_DEFERRED_HOURS:g}"
    if isinstance(then, Defer) and not (then.default is None or _is_decision(then.default, task)):
        yield f"{_name(rule, then)}: expected as the default {_describe_decision(task)}"
    if isinstance(then, Answer) and not (then.prediction is None or _is_prediction(then.prediction, task)):
        yield f"{_name(rule, then)}: expected as the prediction {_describe_prediction(task)}"
    is_open = isinstance(then, Answer) and then.decision is None
    if isinstance(then, Answer | Override) and not (is_open or _is_decision(then.decision, task)):
        yield f"{_name(rule, then)}: expected as the decision {_describe_decision(task)}"


def _check_interval(rule: Rule, part: Outside | Clamp, task: Task) -> Iterator[str]:
    """Find an interval of predictions that has none in it."""
    if part.low > part.high:
        yield f"{_name(rule, part)}: expected low up to high"
    elif task.kind == "binary" and (part.low > 1 or part.high < 0):
        yield f"{_name(rule, part)}: expected probabilities, from 0 to 1"


def _is_in_column(value: Any, dtype: Any) -> bool:
    """Whether a record's value of the column can equal this one."""
    if value is None or dtype.is_float():
        return value is None or is_number(value)
    try:
        return bool(pl.Series([value], dtype=dtype, strict=True).to_list() == [value])
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return False


def _is_comparable(value: Any, dtype: Any) -> bool:
    """Whether a record's value of the column can be less than this one."""
    if dtype.is_numeric():
        return is_number(value)
    return value is not None and _is_in_column(value, pl.String() if isinstance(dtype, pl.Enum) else dtype)


def _is_prediction(value: Prediction, task: Task) -> bool:
    if task.kind != "multiclass":
        return _is_answerable_number(value) and (task.kind == "regression" or 0 <= value <= 1)
    if not isinstance(value, list) or len(value) != len(task.classes) or not all(map(_is_answerable_number, value)):
        return False
    return min(value) >= 0 and abs(sum(value) - 1) <= PROBABILITY_SUM_TOLERANCE


def _describe_prediction(task: Task) -> str:
    return {
        "binary": "the probability of True, from 0 to 1",
        "multiclass": f"a list with the probability of each class ({', '.join(task.classes)}), which add up to 1",
        "regression": "a number",
    }[task.kind]


def _is_decision(value: Any, task: Task) -> bool:
    if task.kind == "binary":
        return isinstance(value, bool)
    if task.kind == "multiclass":
        return value in task.classes and _is_answerable(value)
    return _is_answerable_number(value)


def _describe_decision(task: Task) -> str:
    return {
        "binary": "True or False",
        "multiclass": f"one of the classes {', '.join(task.classes)}",
        "regression": "a number",
    }[task.kind]


def _is_answerable_number(value: Any) -> bool:
    return is_number(value) and _is_answerable(value)


def _is_answerable(value: Any) -> bool:
    """Whether answers and the log have the value as it is: JSON has none of numpy's, no Decimal, and no infinity."""
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(value)) == value)
    except TypeError:
        return False


def _name(rule: Rule, part: Any) -> str:
    return f"RULES has {rule.name} with {part}"
