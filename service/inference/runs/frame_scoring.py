"""Scoring of frames: the answers that the service gives to lists of the same records, without an object for each row.

Rows for which no rule changes what the model predicts are scored and decided in columns, also by rules, and get their
marks there, such as that people are to look at one. All others go through the inference pipeline, as do those whose
record is blocked or suspect, and all rows while a canary answers, decisions are explored, or the model fails for the
frame.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import polars as pl

from penumbra.core.contract.value_readers import list_records
from penumbra.core.task import Task
from penumbra.logs.append_log import encode_lines
from penumbra.rules import Rule
from service.http.refusals import RequestRefused
from service.http.requests.record_batch import RecordBatch
from service.inference.models.live_model import LiveModels, LoadedModel
from service.inference.pipeline import InferencePipeline
from service.inference.rules.rule_engine import RefusedByRule
from service.inference.rules.rule_marks import NO_MARKS
from service.inference.runs.batch_run import MAX_PART_ROWS, ScoredRecord
from service.inference.runs.frame_run import PlainRows, decide_all, run_frame


class NoLiveModel(RuntimeError):
    """No model is live here; says why."""


class ScoredFrame(NamedTuple):
    """The answers to a frame of n records; each row is in `plain`, in `others`, or in `refused`.

    Attributes:
        version: The live version, which answered the plain rows.
        plain: The answers to the rows for which what the model predicts counts, with the numbers that these have here.
        others: The other answers, such as those that a rule or another model gave, by the row's number.
        refused: The other rows by number: the rule that refuses the row, or why there is no answer.
    """

    version: str
    plain: PlainRows
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
        found = run_frame(model, rows.filter(sound) if not sound.all() else rows) if sound.any() else None
        plain = found or _answer_none(self._task)
        is_special = np.ones(rows.height, bool)
        is_special[numbers := np.flatnonzero(sound)[plain.numbers]] = False
        special = np.flatnonzero(is_special)
        others, refused = self._score_rows(rows[special], special.tolist())
        return ScoredFrame(model.version, plain._replace(numbers=numbers), others, refused)

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


def _answer_none(task: Task) -> PlainRows:
    """The answers in columns where none of the rows has one."""
    numbers, outputs = np.empty(0, np.int64), np.empty(0)
    return PlainRows(numbers, np.empty((0, 0)), outputs, decide_all(task, outputs, 0.0), numbers, [NO_MARKS])
