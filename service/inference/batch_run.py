"""One run of records through a version's rules and its model, and the records and results of such a run."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from penumbra.rules import DecisionValue, Prediction, Rule
from service.http.requests.record_reader import RecordDict
from service.inference.live_model import LoadedModel, ScoredInputs
from service.inference.rule_engine import RefusedByRule, RuledPrediction
from service.inference.scoring_marks import CallMarker

FIRST_PART_ROWS, MAX_PART_ROWS = 16, 1024

RecordGroup = tuple[LoadedModel, Sequence[int]]  # a model and the positions of the records that it scores in one call
BatchScorer = Callable[[Sequence[RecordDict]], Sequence[ScoredInputs | Exception]]


class ScoredRecord(NamedTuple):
    """The fields of `PredictionEntry` that the pipeline determines; `marks` are its optional fields."""

    record: msgspec.Raw
    model: str
    inputs: Sequence[float]
    output: Prediction
    decision: DecisionValue
    marks: dict[str, Any]


class PendingRecords(NamedTuple):
    """Records to score in one call.

    Each is there as one line of JSON too, and with its position in the list that it came in; `mark` marks the call.
    """

    records: Sequence[RecordDict]
    lines: Sequence[bytes]
    positions: Sequence[int]
    mark: CallMarker

    def select(self, indices: Sequence[int]) -> "PendingRecords":
        """Select some of them.

        Args:
            indices: Which of these records, from 0.

        Returns:
            Those records, in the order of `indices`.
        """
        return PendingRecords(
            [self.records[each] for each in indices],
            [self.lines[each] for each in indices],
            [self.positions[each] for each in indices],
            self.mark,
        )


class RefusedByRules(Exception):
    """Rules refuse some records: position, record and rule of each, and the `model` version."""

    def __init__(self, refused: Sequence[tuple[int, RecordDict, Rule]], model: str) -> None:
        super().__init__([rule.name for *_, rule in refused])
        self.refused = refused
        self.model = model


class NonFiniteOutput(ArithmeticError):
    """A model's output is NaN or infinite."""


def split_by_duration(positions: Sequence[int], seconds: float) -> Iterator[Sequence[int]]:
    """Split positions into parts that are scored one after the other, each in a short time.

    Args:
        positions: The positions of records.
        seconds: The next part has twice as many, up to 1,024, where one took less than that, and half as many where it
            took more.

    Yields:
        The parts in their order, the first of 16.
    """
    size, begin = FIRST_PART_ROWS, 0
    while begin < len(positions):
        began = time.monotonic()
        yield positions[begin : begin + size]
        begin += size
        size = min(2 * size, MAX_PART_ROWS) if time.monotonic() - began < seconds else max(size // 2, 1)


def predict_by_group(
    groups: Iterable[RecordGroup], predict: Callable[[LoadedModel, Sequence[int]], list[ScoredRecord]]
) -> list[ScoredRecord]:
    """Let the model of each group predict for its records.

    Args:
        groups: Models, each with the positions of its records; the first has the first record.
        predict: Predicts with a model for the records at some positions.

    Returns:
        The predictions in the records' order.

    Raises:
        RefusedByRules: Rules of any version refuse at least one record; all refused records are in it.
    """
    scored: dict[int, ScoredRecord] = {}
    refused: list[tuple[int, RecordDict, Rule]] = []
    first = ""
    for model, positions in groups:
        first = first or model.version
        try:
            scored |= zip(positions, predict(model, positions), strict=True)
        except RefusedByRules as by_version:
            refused += by_version.refused
    if refused:
        raise RefusedByRules(sorted(refused, key=itemgetter(0)), first)
    return [scored[position] for position in range(len(scored))]


def run_batch(model: LoadedModel, pending: PendingRecords, score: BatchScorer) -> list[ScoredRecord | Exception]:
    """Predict for a list with one version's rules, and `score` in place of the model.

    Args:
        model: The version.
        pending: The records.
        score: Returns input and output of each record, or why there is none; it is given those that no rule answered
            before.

    Returns:
        For each record its prediction, or why there is none, such as `NonFiniteOutput`.

    Raises:
        RefusedByRules: Rules refuse at least one record.
    """
    before = _apply_before_rules(model, pending)
    unruled = [record for record, (ruled, _) in zip(pending.records, before, strict=True) if ruled is None]
    scores = iter(score(unruled) if unruled else ())
    return [
        _conclude(model, record, line, *each, None if each[0] else next(scores))
        for record, line, each in zip(pending.records, pending.lines, before, strict=True)
    ]


def _conclude(
    model: LoadedModel,
    record: RecordDict,
    line: bytes,
    ruled: RuledPrediction | None,
    failed: Sequence[str],
    scored: ScoredInputs | Exception | None,
) -> ScoredRecord | Exception:
    """Apply the rules that come after the model to what it said of a record, unless one before it has decided."""
    if ruled is not None:
        return ScoredRecord(msgspec.Raw(line), model.version, (), *ruled)
    if scored is None or isinstance(scored, Exception):
        return scored or NonFiniteOutput("no output")
    inputs, output = scored
    try:
        require_finite(output)
        after = model.rules.apply_after(record, output, failed)
    except Exception as error:
        return error
    return ScoredRecord(msgspec.Raw(line), model.version, inputs, *after)


def _apply_before_rules(
    model: LoadedModel, pending: PendingRecords
) -> list[tuple[RuledPrediction | None, Sequence[str]]]:
    """Apply the rules that come before the model to each record.

    Raises:
        RefusedByRules: Rules refuse at least one record; all refused records are in it.
    """
    before, refused = [], []
    for position, record in zip(pending.positions, pending.records, strict=True):
        try:
            before.append(model.rules.apply_before(record))
        except RefusedByRule as refusal:
            refused.append((position, record, refusal.rule))
    if refused:
        raise RefusedByRules(refused, model.version)
    return before


def require_finite(output: Prediction) -> None:
    """Refuse an output that is no number.

    Args:
        output: A model's output for one record.

    Raises:
        NonFiniteOutput: It is NaN or infinite, or a part of it is.
    """
    if not (all(map(math.isfinite, output)) if isinstance(output, list) else math.isfinite(output)):
        raise NonFiniteOutput("NaN or infinity")
