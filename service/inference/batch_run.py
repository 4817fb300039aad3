"""One run of records through a version's rules and its model, and the records and results of such a run."""

import math
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from penumbra.rules import DecisionValue, Prediction, Rule
from service.http.record_reader import RecordDict
from service.inference.live_model import LoadedModel
from service.inference.rule_engine import RefusedByRule
from service.inference.scoring_marks import CallMarker

RecordGroup = tuple[LoadedModel, list[int]]  # a model and the positions of the records that it scores in one call
BatchScorer = Callable[[Sequence[RecordDict]], tuple[Sequence[Sequence[float]], Sequence[Prediction]]]


class ScoredRecord(NamedTuple):
    """The fields of `PredictionEntry` that the pipeline determines; `marks` are its optional fields."""

    record: msgspec.Raw
    model: str
    inputs: Sequence[float]
    output: Prediction
    decision: DecisionValue
    marks: dict[str, Any]


class PendingRecords(NamedTuple):
    """Records to score in one call, each also as one line of JSON, and the function that marks that call."""

    records: Sequence[RecordDict]
    lines: Sequence[bytes]
    mark: CallMarker

    def select(self, positions: Sequence[int]) -> "PendingRecords":
        """Select some of them.

        Args:
            positions: Their positions, from 0.

        Returns:
            The records at these positions, in their order.
        """
        return PendingRecords(
            [self.records[each] for each in positions], [self.lines[each] for each in positions], self.mark
        )


class RefusedByRules(Exception):
    """Rules refuse some records: position, record and rule of each, and the `model` version."""

    def __init__(self, refused: Sequence[tuple[int, RecordDict, Rule]], model: str) -> None:
        super().__init__([rule.name for *_, rule in refused])
        self.refused = refused
        self.model = model


class NonFiniteOutput(ArithmeticError):
    """A model's output is NaN or infinite."""


def predict_by_group(
    groups: Sequence[RecordGroup], predict: Callable[[LoadedModel, Sequence[int]], list[ScoredRecord]]
) -> list[ScoredRecord]:
    """Let the model of each group predict for its records.

    Args:
        groups: Models, each with the positions of its records.
        predict: Predicts with a model for the records at some positions.

    Returns:
        The predictions in the records' order.

    Raises:
        RefusedByRules: Rules of any version refuse at least one record; all refused records are in it.
    """
    scored: dict[int, ScoredRecord] = {}
    refused: list[tuple[int, RecordDict, Rule]] = []
    for model, positions in groups:
        try:
            scored |= zip(positions, predict(model, positions), strict=True)
        except RefusedByRules as by_version:
            refused += [(positions[index], record, rule) for index, record, rule in by_version.refused]
    if refused:
        raise RefusedByRules(sorted(refused, key=itemgetter(0)), groups[0][0].version)
    return [scored[position] for position in range(len(scored))]


def run_batch(model: LoadedModel, pending: PendingRecords, score: BatchScorer) -> list[ScoredRecord]:
    """Predict for a list with one version's rules, and `score` in place of the model.

    Args:
        model: The version.
        pending: The records.
        score: Returns inputs and outputs of records; it is given those that no rule answered before.

    Returns:
        The predictions in the records' order.

    Raises:
        RefusedByRules: Rules refuse at least one record.
        NonFiniteOutput: An output is NaN or infinite. Whatever `score` raises is raised too.
    """
    before = _apply_before_rules(model, pending.records)
    unruled = [record for record, (ruled, _) in zip(pending.records, before, strict=True) if ruled is None]
    scores = zip(*score(unruled), strict=True) if unruled else repeat(((), None))
    scored = []
    for record, line, (ruled, failed) in zip(pending.records, pending.lines, before, strict=True):
        inputs, output = ((), None) if ruled else next(scores)
        if ruled is None:
            require_finite(output)
            ruled = model.rules.apply_after(record, output, failed)
        scored.append(ScoredRecord(msgspec.Raw(line), model.version, inputs, *ruled))
    return scored


def _apply_before_rules(model: LoadedModel, records: Sequence[RecordDict]) -> list[Any]:
    """Apply the rules that come before the model to each record.

    Raises:
        RefusedByRules: Rules refuse at least one record; all refused records are in it.
    """
    before, refused = [], []
    for index, record in enumerate(records):
        try:
            before.append(model.rules.apply_before(record))
        except RefusedByRule as refusal:
            refused.append((index, record, refusal.rule))
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
