"""Scoring of frames: the answers that the service gives to lists of the same records, without an object for each row.

Rows for which no rule changes what the model predicts are scored and decided in columns, also by rules, and get their
marks there, such as that people are to look at one. All others go through the inference pipeline, as do those whose
record is blocked or suspect, and all rows while a canary answers, decisions are explored, or the model fails for the
frame.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from penumbra.core.contract.value_readers import list_records
from penumbra.core.encoding import derive_features
from penumbra.core.task import Task
from penumbra.core.text.errors import USER_ERRORS
from penumbra.logs.append_log import encode_lines
from penumbra.rules import Rule
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import RecordBatch
from service.inference.batch_run import MAX_PART_ROWS, ScoredRecord
from service.inference.frame_rules import FramePredictions, RuledRows
from service.inference.live_model import LiveModels, LoadedModel
from service.inference.pipeline import InferencePipeline
from service.inference.rule_engine import NO_MARKS, RefusedByRule


class NoLiveModel(RuntimeError):
    """No model is live here; says why."""


class ScoredFrame(NamedTuple):
    """The answers to a frame of n records; each row is in `plain`, in `others`, or in `refused`.

    Attributes:
        version: The live version, which answered the plain rows.
        plain: The numbers of the rows for which what the model predicts counts, int64 [m], ascending.
        inputs: What the model was given of these, float64 [m, k].
        outputs: Its outputs, float64 [m] or [m, classes].
        decisions: What follows from them, or what a rule decides: Boolean, String or Float64.
        codes: Which marks each of them has: positions in `marks`, int64 [m].
        marks: The marks of rules that decide, or have people do so, of none of them or of several; a `default` that is
            None is the answer's own decision.
        others: The other answers, such as those that a rule or another model gave, by the row's number.
        refused: The other rows by number: the rule that refuses the row, or why there is no answer.
    """

    version: str
    plain: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    decisions: pl.Series
    codes: np.ndarray
    marks: Sequence[dict[str, Any]]
    others: dict[int, ScoredRecord]
    refused: dict[int, Rule | str]


class FrameScorer:
    """Scores frames with the live model, its rules and its fallbacks."""

    def __init__(self, live: LiveModels, pipeline: InferencePipeline, task: Task, in_columns: bool = True) -> None:
        """Score by `live`, and by a `pipeline` of the same models what isn't scored `in_columns`."""
        self._live, self._pipeline, self._task, self._in_columns = live, pipeline, task, in_columns

    def score(self, rows: pl.DataFrame) -> ScoredFrame:
        """Score records.

        Args:
            rows: Rows that keep the contract, with its columns and dtypes.

        Returns:
            The answers.

        Raises:
            NoLiveModel: No model is loaded.
        """
        if (model := self._live.model) is None:
            raise NoLiveModel(self._live.explain_absence())
        sound = self._find_sound(model, rows)
        found = _score_columns(model, rows.filter(sound) if not sound.all() else rows) if sound.any() else None
        matrix, outputs, ruled = found or (np.empty((0, 0)), np.empty(0), _leave_all(int(sound.sum())))
        kept, is_special = np.flatnonzero(~ruled.concerned), np.ones(rows.height, bool)
        plain = np.flatnonzero(sound)[kept]
        is_special[plain] = False
        special = np.flatnonzero(is_special)
        others, refused = self._score_rows(rows[special], special.tolist())
        if len(kept) < len(ruled.concerned):
            matrix, outputs = (each[kept] if len(kept) else each[:0] for each in (matrix, outputs))
        decisions = decide_all(self._task, outputs, model.bundle.facts.get("threshold"))
        codes = ruled.codes[kept]
        if any(decision is not None for decision in ruled.decisions):
            by_rules = pl.Series(ruled.decisions, dtype=decisions.dtype)[codes]
            decisions = pl.select(pl.coalesce(by_rules, decisions)).to_series()
        return ScoredFrame(model.version, plain, matrix, outputs, decisions, codes, ruled.marks, others, refused)

    def _find_sound(self, model: LoadedModel, rows: pl.DataFrame) -> np.ndarray:
        """Find the rows that may be scored in one call, in columns; bool [n]."""
        blocked = self._pipeline.blocked
        if not self._in_columns or self._live.canary:
            return np.zeros(rows.height, bool)
        if not blocked.is_active:
            return np.ones(rows.height, bool)
        lines = chain.from_iterable(encode_lines(some.to_dicts()) for some in rows.iter_slices(MAX_PART_ROWS))
        return ~np.fromiter((blocked.is_doubtful(model.version, line) for line in lines), bool, rows.height)

    def _score_rows(
        self, rows: pl.DataFrame, numbers: Sequence[int]
    ) -> tuple[dict[int, ScoredRecord], dict[int, Rule | str]]:
        """Score rows through the pipeline; returns the answers, and what has none, by the rows' numbers."""
        answers, refused = dict[int, ScoredRecord](), dict[int, Rule | str]()
        for start in range(0, rows.height, MAX_PART_ROWS):
            some = rows.slice(start, MAX_PART_ROWS)
            self._score_some(some, numbers[start : start + MAX_PART_ROWS], answers, refused)
        return answers, refused

    def _score_some(
        self,
        rows: pl.DataFrame,
        numbers: Sequence[int],
        answers: dict[int, ScoredRecord],
        refused: dict[int, Rule | str],
    ) -> None:
        """Score a few rows, in halves where one of them has no answer."""
        try:
            scored = self._pipeline.predict_each(RecordBatch(list_records(rows), rows))
        except RequestRefused as refusal:
            if rows.height == 1:
                refused[numbers[0]] = str(refusal)
                return
            middle = rows.height // 2
            self._score_some(rows.head(middle), numbers[:middle], answers, refused)
            self._score_some(rows.slice(middle), numbers[middle:], answers, refused)
            return
        for number, each in zip(numbers, scored, strict=True):
            if isinstance(each, RefusedByRule):
                refused[number] = each.rule
            else:
                answers[number] = each


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
        return pl.Series(outputs >= threshold, dtype=pl.Boolean)
    if task.kind == "regression":
        return pl.Series(outputs, dtype=pl.Float64)
    classes = pl.Series(task.classes, dtype=pl.String)
    return classes[outputs.argmax(axis=1)] if len(outputs) else classes.clear()


def _leave_all(height: int) -> RuledRows:
    """What rules say of rows that are all left to the pipeline."""
    return RuledRows(np.ones(height, bool), np.zeros(height, np.int64), [NO_MARKS], [None])


def _score_columns(model: LoadedModel, rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, RuledRows] | None:
    """The inputs, the outputs, and what rules say of the rows; None where the model fails."""
    try:
        features = derive_features(model.bundle.inputs.kinds, rows)
        matrix = model.bundle.inputs.encode_frame(features)
        outputs = model.bundle.predictions(matrix)
    except USER_ERRORS:  # whose it is, shows row by row
        return None
    return matrix, outputs, model.rules.rule_rows(FramePredictions(rows, features, outputs))
