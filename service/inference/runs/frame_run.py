"""One run of a frame through a version's model and its rules, in columns, without an object for each row."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from penumbra.core.task import Task
from penumbra.core.text.errors import USER_ERRORS
from penumbra.features import Record
from service.inference.models.live_model import LoadedModel
from service.inference.rules.frame_rules import FramePredictions
from service.inference.rules.rule_marks import NO_MARKS, fill_default
from service.inference.runs.batch_run import ScoredRecord


class PlainRows(NamedTuple):
    """The answers to the m rows of a frame for which what the model predicts counts, whatever rules decide.

    Attributes:
        numbers: The numbers of these rows, int64 [m], ascending.
        inputs: What the model was given of them, float64 [m, k].
        outputs: Its outputs, float64 [m] or [m, classes].
        decisions: What follows from them, or what a rule decides: Boolean, String or Float64.
        codes: Which marks each of them has: positions in `marks`, int64 [m].
        marks: The marks of rules that decide, or have people do so, of none of them or of several; a `default` that is
            None is the answer's own decision.
    """

    numbers: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    decisions: pl.Series
    codes: np.ndarray
    marks: Sequence[dict[str, Any]]


def run_frame(
    model: LoadedModel, rows: pl.DataFrame, records: Sequence[Record] | None = None, apart: bool = True
) -> PlainRows | None:
    """Predict for rows with one version's rules and its model, as far as that can be done in columns.

    Args:
        model: The version.
        rows: n rows that keep the contract, with its columns and dtypes.
        records: The rows as records, where they are at hand: conditions of a team's own are asked of these.
        apart: Whether the other rows are answered where a rule refuses one.

    Returns:
        The answers; of rows that aren't among them rules may change what is predicted, record by record. None where
        that may be so for all rows, a rule may refuse all of them, or the version fails: for which of them, shows
        record by record.
    """
    if not model.rules.can_rule_rows:
        return None
    try:
        features = model.bundle.inputs.derive(rows)
        unscored = FramePredictions(rows, features, None)
        numbers = np.flatnonzero(~model.rules.find_decided_rows(unscored))
        if len(numbers) < rows.height and not apart and model.rules.may_refuse(unscored):
            return None
        if len(numbers) < rows.height:
            rows, features = rows[numbers], features[numbers]
            records = None if records is None else [records[number] for number in numbers.tolist()]
        inputs, outputs = model.score_features(features)
    except USER_ERRORS:
        return None
    ruled = model.rules.rule_rows(FramePredictions(rows, features, outputs, records))
    kept = np.flatnonzero(~ruled.concerned)
    if len(kept) < len(numbers):
        numbers, inputs, outputs = numbers[kept], inputs[kept], outputs[kept]
    decisions = decide_all(model.bundle.task, outputs, model.bundle.facts.get("threshold"))
    codes = ruled.codes[kept]
    if any(decision is not None for decision in ruled.decisions):
        by_rules = pl.Series(ruled.decisions, dtype=decisions.dtype)[codes]
        decisions = pl.select(pl.coalesce(by_rules, decisions)).to_series()
    return PlainRows(numbers, inputs, outputs, decisions, codes, ruled.marks)


def list_answers(version: str, lines: Sequence[bytes], plain: PlainRows) -> list[ScoredRecord]:
    """List the answers to the plain rows of a list.

    Args:
        version: The version that gave them.
        lines: All rows of the list as JSON.
        plain: The answers in columns.

    Returns:
        An answer for each of the plain rows.
    """
    raw = map(
        msgspec.Raw, lines if len(plain.numbers) == len(lines) else map(lines.__getitem__, plain.numbers.tolist())
    )
    inputs, outputs, decisions = plain.inputs.tolist(), plain.outputs.tolist(), plain.decisions.to_list()
    answers = list(map(ScoredRecord, raw, repeat(version), inputs, outputs, decisions, repeat(NO_MARKS)))
    for index in np.flatnonzero(np.array([bool(marks) for marks in plain.marks])[plain.codes]).tolist():
        marks = fill_default(plain.marks[plain.codes[index]], decisions[index])
        answers[index] = answers[index]._replace(marks=marks)
    return answers


def decide_all(task: Task, outputs: np.ndarray, threshold: float | None) -> pl.Series:
    """Decide by outputs as `service.http.requests.responses.make_decision_function` does by one.

    Args:
        task: The problem's task.
        outputs: float64 [n] or [n, classes].
        threshold: The least probability of a positive decision; of a binary task only.

    Returns:
        n decisions: Boolean, String or Float64.
    """
    if task.kind == "binary":
        return pl.Series(np.asarray(outputs, float) >= threshold, dtype=pl.Boolean)
    if task.kind == "regression":
        return pl.Series(outputs, dtype=pl.Float64)
    classes = pl.Series(task.classes, dtype=pl.String)
    return classes[outputs.argmax(axis=1)] if len(outputs) else classes.clear()
