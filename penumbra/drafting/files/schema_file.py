"""`problem/schema.py`: the contract of a request and of a batch, the target, and an example."""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from penumbra.drafting.draft import DraftColumn, DraftTarget, ProblemDraft
from penumbra.drafting.files.python_code import LINE_WIDTH, Brackets, Code, format_code, format_value

DOCSTRING = '"""What a row is. The contract that ingest, training, the HTTP API and monitoring all read."""'
TASK_WORDS = {"binary": "The outcome as yes or no", "classes": "The class", "number": "The number to be predicted"}


def render_schema(draft: ProblemDraft) -> str:
    """Write `problem/schema.py`.

    Args:
        draft: The draft.

    Returns:
        The file's text.
    """
    row = [column for column in draft.columns if column.role in ("time", "key", "feature")]
    outcome = _select_role(draft, "outcome")
    time = next(column.name for column in row if column.role == "time")
    bounds = [bound for column in row + outcome for bound in (column.minimum, column.maximum)]
    lists = "".join(f"{format_code(code)}\n" for column in row + outcome for code in _name_long_lists(column))
    return "\n".join(
        [
            DOCSTRING,
            "\nimport datetime as dt" if any(isinstance(bound, dt.date | dt.time) for bound in bounds) else "",
            "from typing import Any\n\nimport dataframely as dy\nimport polars as pl\n",
            f"TIME = {format_value(time)}",
            f"{lists}\n",
            'class Row(dy.Schema):\n    """All that is known when the prediction is made."""\n',
            *_render_columns(row),
            *_render_left_out(_select_role(draft, "unused")),
            '\n\nclass Labelled(Row):\n    """With the outcome, null where it isn\'t known yet."""\n',
            *_render_columns(outcome),
            f"\n\n{_render_target(draft.target, outcome[0])}\n\n",
            _render_record("EXAMPLE", row),
            _render_record("OUTCOME", outcome) + "  # of the example",
            f"QUESTION = {format_value(_ask_people(draft.target))}",
            "",
        ]
    )


def _select_role(draft: ProblemDraft, role: str) -> list[DraftColumn]:
    return [column for column in draft.columns if column.role == role]


def _render_columns(columns: Sequence[DraftColumn]) -> Iterator[str]:
    for column in columns:
        if column.reason:
            yield _format_comment(column.reason)
        yield format_code(Brackets(f"{column.attribute} = dy.{_name_class(column.dtype)}(", _list_arguments(column)), 4)


def _render_left_out(columns: Sequence[DraftColumn]) -> Iterator[str]:
    """Comments on the columns that no contract has."""
    if columns:
        yield ""
    for column in columns:
        name = f"{format_value(column.name)}: " if column.name.strip() else ""
        yield _format_comment(f"Without {name}{column.reason}")


def _format_comment(sentence: str) -> str:
    """A comment of one line in a class; a reason of several lines or signs that a linter takes amiss is no help."""
    words = " ".join(re.sub(r"\\(['\"])", r"\1", format_value(sentence)[1:-1]).split())
    words = f"reason: {words}" if words.startswith("type:") else words  # which is syntax at a comment's beginning
    limit = LINE_WIDTH - len("    # ")
    return f"    # {words if len(words) <= limit else words[: limit - 3] + '...'}"


def _name_class(dtype: pl.DataType) -> str:
    """The class of dataframely for a dtype."""
    return "Bool" if dtype == pl.Boolean else type(dtype).__name__


def _list_arguments(column: DraftColumn) -> list[Code]:
    arguments: list[Code] = []
    if isinstance(column.dtype, pl.Enum):
        arguments.append(_name_list(column) if _is_long(column) else format_value(list(column.categories)))
    if column.is_key:
        arguments.append("primary_key=True")
    elif column.nullable:
        arguments.append("nullable=True")
    named = {"min": column.minimum, "max": column.maximum, "max_length": column.max_length}
    if isinstance(column.dtype, pl.Datetime):
        named["time_zone"] = column.dtype.time_zone
    named["alias"] = column.name if column.name != column.attribute else None
    return arguments + [f"{name}={format_value(value)}" for name, value in named.items() if value is not None]


def _name_long_lists(column: DraftColumn) -> Iterator[Code]:
    """The values of an Enum that don't fit into its line, as a constant."""
    if _is_long(column):
        yield Brackets(f"{_name_list(column)} = [", [format_value(value) for value in column.categories], "]")


def _is_long(column: DraftColumn) -> bool:
    return len(format_value(list(column.categories))) > LINE_WIDTH // 2


def _name_list(column: DraftColumn) -> str:
    return f"{column.attribute.upper().rstrip('_')}_VALUES"


def _render_target(target: DraftTarget, column: DraftColumn) -> str:
    value = f"pl.col({format_value(column.name)})"
    if target.task == "binary" and column.dtype != pl.Boolean:
        value = f"{value} == {format_value(target.positive)}"
    elif target.task == "binary" and not target.positive:
        value = f"~{value}"
    return (
        f'def target() -> pl.Expr:\n    """{TASK_WORDS[target.task]}; null where it isn\'t known."""\n'
        f"    return {value}"
    )


def _ask_people(target: DraftTarget) -> str:
    """The question to people who review a row."""
    if target.task == "binary" and target.positive in (True, 1):
        return f"{target.column}: yes or no?"
    if target.task == "binary":
        return f"Is {target.column} {target.positive}?"
    return f"Which {target.column} is it?" if target.task == "classes" else f"How large is {target.column}?"


def _render_record(name: str, columns: Sequence[DraftColumn]) -> str:
    values: dict[str, Any] = {column.name: column.example for column in columns if column.example is not None}
    items = [f"{format_value(key)}: {format_value(value)}" for key, value in values.items()]
    is_spread = name == "EXAMPLE"
    return format_code(Brackets(f"{name}: dict[str, Any] = {{", items, "}", is_spread))
