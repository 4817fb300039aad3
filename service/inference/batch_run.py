"""One run of records through a version's rules and its model, and the records and results of such a run."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from penumbra.rules import DecisionValue, Prediction, Rule
from service.http.requests.record_reader import RecordDict
from service.inference.live_model import LoadedModel, ScoredInputs
from service.inference.rule_engine import NO_MARKS, NO_RULE_DECIDED, PreparedRules, RefusedByRule, RuledPrediction
from service.inference.scoring_marks import CallMarker

FIRST_PART_ROWS, MAX_PART_ROWS = 16, 1024
MAX_PART_GROWTH = 8  # from one part of a list to the next
CLOCK_SECONDS = 1e-6  # what is quicker isn't measured

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


def split_by_pace(positions: Sequence[int], seconds: float) -> Iterator[Sequence[int]]:
    """Split the positions of a list's records into parts that take a short time each, so that a call that hangs is soon
    known for one.

    The first has 16 records. The next one has as many as would take that time at the pace of the last one, but at most
    eight times as many as that, as its records may have been the quick ones, and at most 1,024.

    Args:
        positions: The positions of records, which are scored part by part as the parts are taken.
        seconds: The time that a part may take.

    Yields:
        The parts in their order.
    """
    size, begin = FIRST_PART_ROWS, 0
    while begin < len(positions):
        part, began = positions[begin : begin + size], time.monotonic()
        yield part
        begin += size
        within = len(part) * seconds / max(time.monotonic() - began, CLOCK_SECONDS)
        size = max(int(min(within, MAX_PART_GROWTH * size, MAX_PART_ROWS)), 1)


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
    asked = [index for index in range(len(pending.records)) if before.get(index, NO_RULE_DECIDED)[0] is None]
    scores = score([pending.records[index] for index in asked]) if asked else ()
    scored = dict(zip(asked, scores, strict=True))
    concluded = _conclude_at_once(
        model, pending, {index: each for index, each in scored.items() if index not in before}
    )
    return [
        concluded.get(index) or _conclude(model, record, line, *before.get(index, NO_RULE_DECIDED), scored.get(index))
        for index, (record, line) in enumerate(zip(pending.records, pending.lines, strict=True))
    ]


def _conclude_at_once(
    model: LoadedModel, pending: PendingRecords, scored: Mapping[int, ScoredInputs | Exception]
) -> dict[int, ScoredRecord | Exception]:
    """Do for all records that have an output what `_conclude` does, at once for those that no rule concerns; leaves out
    the others."""
    answered = {index: each for index, each in scored.items() if not isinstance(each, Exception)}
    try:
        answered = {index: each for index, each in answered.items() if is_finite(each[1])}
        outputs = [output for _, output in answered.values()]
        decisions = list(map(model.decide, outputs))
    except Exception:  # whose it is, shows one by one
        return {}
    indices, inputs = list(answered), [inputs for inputs, _ in answered.values()]
    lines = [msgspec.Raw(pending.lines[index]) for index in indices]
    plain = map(ScoredRecord, lines, repeat(model.version), inputs, outputs, decisions, repeat(NO_MARKS))
    concluded: dict[int, ScoredRecord | Exception] = dict(zip(indices, plain, strict=True))
    records = [pending.records[index] for index in indices]
    for n, rules in model.rules.find_concerned_after(records, outputs).items():
        index = indices[n]
        concluded[index] = _conclude(model, records[n], pending.lines[index], None, (), answered[index], rules)
    return concluded


def _conclude(
    model: LoadedModel,
    record: RecordDict,
    line: bytes,
    ruled: RuledPrediction | None,
    failed: Sequence[str],
    scored: ScoredInputs | Exception | None,
    rules: PreparedRules | None = None,
) -> ScoredRecord | Exception:
    """Apply the rules that come after the model to what it said of a record, unless one before it has decided."""
    if ruled is not None:
        return ScoredRecord(msgspec.Raw(line), model.version, (), *ruled)
    if scored is None or isinstance(scored, Exception):
        return scored or NonFiniteOutput("no output")
    inputs, output = scored
    try:
        require_finite(output)
        after = model.rules.apply_after(record, output, failed, rules)
    except Exception as error:
        return error
    return ScoredRecord(msgspec.Raw(line), model.version, inputs, *after)


def _apply_before_rules(
    model: LoadedModel, pending: PendingRecords
) -> dict[int, tuple[RuledPrediction | None, Sequence[str]]]:
    """Apply the rules that come before the model to the records that they concern; returns the results by index.

    Raises:
        RefusedByRules: Rules refuse at least one record; all refused records are in it.
    """
    before, refused = {}, []
    for index, rules in model.rules.find_concerned_before(pending.records).items():
        record = pending.records[index]
        try:
            before[index] = model.rules.apply_before(record, rules)
        except RefusedByRule as refusal:
            refused.append((pending.positions[index], record, refusal.rule))
    if refused:
        raise RefusedByRules(refused, model.version)
    return before


def is_finite(output: Prediction) -> bool:
    """Return whether a model's `output` for one record is a number, or all of its parts are."""
    return all(map(math.isfinite, output)) if isinstance(output, list) else math.isfinite(output)


def require_finite(output: Prediction) -> None:
    """Refuse an output that is no number.

    Args:
        output: A model's output for one record.

    Raises:
        NonFiniteOutput: It is NaN or infinite, or a part of it is.
    """
    if not is_finite(output):
        raise NonFiniteOutput("NaN or infinity")
