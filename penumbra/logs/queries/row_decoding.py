"""Rows of the index as frames: what SQLite has as numbers and JSON, with the dtypes of the task."""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from penumbra.core.predictions import is_of_another_task
from penumbra.core.task import Task
from penumbra.logs.indexing.index import LogIndex
from penumbra.storage.sealed import DamagedFile

SQLITE_DTYPES = {"binary": (pl.Float64, pl.Int8), "multiclass": (pl.String, pl.String), "regression": (pl.Float64,) * 2}


def decode_rows(index: LogIndex, rows: Sequence[Any], schema: dict[str, Any], *columns: pl.Expr) -> pl.DataFrame:
    """Make a frame of rows.

    Args:
        index: The index.
        rows: Rows of it.
        schema: The names of their columns, with the dtypes that SQLite has for the task (`SQLITE_DTYPES`).
        *columns: What takes the place of columns.

    Returns:
        The frame. Output and decision are null where they are of another task, which was the task when they were given.

    Raises:
        DamagedFile: A byte of the index has changed.
    """
    try:
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(*columns)
    except (pl.exceptions.PolarsError, TypeError) as error:
        own = _drop_other_answers(rows, [*schema], index.label_spec.task)
        if own != rows:
            return decode_rows(index, own, schema, *columns)
        said = str(error).partition("\n")[0]
        raise DamagedFile(f"{index.path} isn't what the logs say: {said}: `penumbra doctor` makes it again") from None


def decode_output_columns(task: Task) -> list[pl.Expr]:
    """Return the expressions of output and decision, with the dtypes that they have in a `task`."""
    output, decision = decode_output("output", task), pl.col("decision")
    if task.kind == "multiclass":
        return [output, decision.cast(pl.Enum(task.classes))]
    return [output, decision.cast(pl.Boolean) if task.kind == "binary" else decision]


def decode_output(name: str, task: Task) -> pl.Expr:
    """Return the expression of an output in a column of this `name`, with the dtype that it has in a `task`."""
    if task.kind == "multiclass":
        return pl.col(name).str.json_decode(pl.List(pl.Float64)).list.to_array(len(task.classes))
    return pl.col(name)


def decode_target(task: Task) -> pl.Expr:
    """Return the expression of the target, out of JSON, with the dtype that it has in a `task`."""
    read = {"binary": pl.Boolean, "multiclass": pl.String, "regression": pl.Float64}[task.kind]
    target = pl.col("target").str.json_decode(read)
    return target.cast(pl.Enum(task.classes)) if task.kind == "multiclass" else target


def decode_moment(name: str) -> pl.Expr:
    """Return the expression of a time (UTC), out of the seconds since 1970 in a column of this `name`."""
    return (pl.col(name) * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))


def _drop_other_answers(rows: Sequence[Any], names: Sequence[str], task: Task) -> list[Any]:
    """The rows with null for output and decision where these are of another task."""
    answer = [at for at, name in enumerate(names) if name in ("output", "decision")]
    return [
        tuple(None if at in answer else value for at, value in enumerate(row))
        if _is_other_answer(task, *(row[at] for at in answer))
        else row
        for row in rows
    ]


def _is_other_answer(task: Task, output: Any, decision: Any = None) -> bool:
    """Whether an answer as the index has it, with JSON of lists, is one of another task; a damaged one is none."""
    try:
        return is_of_another_task(task, json.loads(output) if isinstance(output, str) else output, decision)
    except (ValueError, TypeError):
        return False
