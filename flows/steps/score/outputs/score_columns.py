"""The columns of the answers: the row, its key, and what an answer of the service has, under the same names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.columns import RESERVED_PREFIX
from penumbra.core.task import Task
from service.inference.runs.batch_run import ScoredRecord
from service.inference.runs.frame_scoring import ScoredFrame

KEY_PREFIX = f"{RESERVED_PREFIX}key."
MARK_COLUMNS = {
    "rules": pl.String,
    "failed_rules": pl.String,
    "review": pl.Boolean,
    "pending": pl.Boolean,
    "explored": pl.Boolean,
    "fallback": pl.String,
}


def list_keys(task: Task, rows: pl.DataFrame, numbers: pl.Series, key: Iterable[str]) -> pl.DataFrame:
    """List what tells a row from the others.

    Args:
        task: The problem's task.
        rows: The rows, with the contract's columns.
        numbers: The number of each in its table.
        key: The columns of the contract's primary key.

    Returns:
        The numbers and the columns of the key, `penumbra.key.<name>` those that have the name of a part of an answer.
    """
    taken = {"prediction_id", *_name_outputs(task), "decision", "model_version", *MARK_COLUMNS}
    return rows.select(numbers, *(pl.col(name).alias(KEY_PREFIX * (name in taken) + name) for name in key))


def list_plain_scores(task: Task, keys: pl.DataFrame, ids: pl.Series, scored: ScoredFrame) -> pl.DataFrame:
    """List the answers that are the model's.

    Args:
        task: The problem's task.
        keys: The number and the key of each row.
        ids: The ids of the predictions.
        scored: The answers.

    Returns:
        The columns of an answer beside the keys, in the same order.
    """
    marks = [marks[scored.plain.codes] for marks in _list_marks(scored.plain.marks)]
    answers = _list_answers(task, scored.plain.outputs, scored.plain.decisions)
    return keys.with_columns(
        ids.alias("prediction_id"), *answers, pl.lit(scored.version).alias("model_version"), *marks
    )


def list_other_scores(task: Task, keys: pl.DataFrame, ids: pl.Series, answers: Sequence[ScoredRecord]) -> pl.DataFrame:
    """List the other answers, such as those that a rule or another model gave.

    Args:
        task: The problem's task.
        keys: The number and the key of each row.
        ids: The ids of the predictions.
        answers: The answers.

    Returns:
        The columns of an answer beside the keys, in the same order, as `list_plain_scores` has them.
    """
    outputs = np.array([each.output for each in answers], float)
    decisions = pl.Series([] if task.kind == "regression" else [each.decision for each in answers])
    marks = _list_marks([each.marks for each in answers])
    versions = pl.Series("model_version", [each.model for each in answers])
    return keys.with_columns(ids.alias("prediction_id"), *_list_answers(task, outputs, decisions), versions, *marks)


def _list_answers(task: Task, outputs: np.ndarray, decisions: pl.Series) -> list[pl.Series]:
    """The answers themselves; of several classes a probability for each. A number is its own decision."""
    names, columns = _name_outputs(task), outputs.reshape(-1, max(1, len(task.classes))).T
    listed = [pl.Series(name, each, dtype=pl.Float64) for name, each in zip(names, columns, strict=True)]
    return listed if task.kind == "regression" else [*listed, decisions.alias("decision")]


def _name_outputs(task: Task) -> list[str]:
    if task.kind == "multiclass":
        return [f"probability_{label}" for label in task.classes]
    return ["value" if task.kind == "regression" else "probability"]


def _list_marks(marks: Sequence[Mapping[str, Any]]) -> list[pl.Series]:
    return [
        pl.Series(name, [_write_mark(each.get(name), dtype == pl.Boolean) for each in marks], dtype)
        for name, dtype in MARK_COLUMNS.items()
    ]


def _write_mark(mark: Any, is_flag: bool) -> object:
    return bool(mark) if is_flag else " ".join(mark) if isinstance(mark, list | tuple) else mark
