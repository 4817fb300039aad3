"""The columns of the answers: the row, its key, and what an answer of the service has, under the same names."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from penumbra.core.task import Task
from service.inference.batch_run import ScoredRecord
from service.inference.frame_scoring import ScoredFrame

MARK_COLUMNS = {
    "rules": pl.String,
    "failed_rules": pl.String,
    "review": pl.Boolean,
    "pending": pl.Boolean,
    "explored": pl.Boolean,
    "fallback": pl.String,
}


def list_plain_scores(task: Task, keys: pl.DataFrame, ids: pl.Series, scored: ScoredFrame) -> pl.DataFrame:
    """List the answers that the model alone has given.

    Args:
        task: The problem's task.
        keys: The number and the key of each row.
        ids: The ids of the predictions.
        scored: The answers.

    Returns:
        The columns of an answer beside the keys, in the same order.
    """
    marks = [pl.lit(None if dtype == pl.String else False, dtype).alias(name) for name, dtype in MARK_COLUMNS.items()]
    answers = _list_answers(task, scored.outputs, scored.decisions)
    return keys.with_columns(
        ids.alias("prediction_id"), *answers, pl.lit(scored.version).alias("model_version"), *marks
    )


def list_other_scores(task: Task, keys: pl.DataFrame, ids: pl.Series, answers: Sequence[ScoredRecord]) -> pl.DataFrame:
    """List the answers that a rule or another model had a part in.

    Args:
        task: The problem's task.
        keys: The number and the key of each row.
        ids: The ids of the predictions.
        answers: The answers.

    Returns:
        The columns of an answer beside the keys, in the same order, as `list_plain_scores` has them.
    """
    outputs = np.array([each.output for each in answers], float)
    decisions = pl.Series([each.decision for each in answers])
    marks = [
        pl.Series(name, [_read_mark(each, name, dtype == pl.Boolean) for each in answers], dtype)
        for name, dtype in MARK_COLUMNS.items()
    ]
    versions = pl.Series("model_version", [each.model for each in answers])
    return keys.with_columns(ids.alias("prediction_id"), *_list_answers(task, outputs, decisions), versions, *marks)


def _list_answers(task: Task, outputs: np.ndarray, decisions: pl.Series) -> list[pl.Series]:
    """The answers themselves; of several classes a probability for each."""
    if task.kind == "regression":
        return [pl.Series("value", outputs, dtype=pl.Float64)]
    if task.kind == "binary":
        return [pl.Series("probability", outputs, dtype=pl.Float64), decisions.alias("decision")]
    named = zip(task.classes, outputs.reshape(-1, len(task.classes)).T, strict=True)
    return [*(pl.Series(f"probability_{label}", each) for label, each in named), decisions.alias("decision")]


def _read_mark(answer: ScoredRecord, name: str, is_flag: bool) -> object:
    mark = answer.marks.get(name)
    return bool(mark) if is_flag else " ".join(mark) if isinstance(mark, list | tuple) else mark
