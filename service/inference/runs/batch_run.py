"""One run of records through a version's rules and its model, and the records and results of such a run."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import msgspec

from penumbra.rules import DecisionValue, Prediction, Rule
from service.http.requests.record_batch import RecordBatch, RecordDict
from service.inference.models.live_model import LoadedModel, ScoredInputs
from service.inference.rules.rule_engine import RefusedByRule, RuledPrediction
from service.inference.scoring_marks import CallMarker

FIRST_PART_ROWS, MAX_PART_ROWS = 16, 1024
MAX_PART_GROWTH = 8  # from one part of a list to the next
CLOCK_SECONDS = 1e-6  # what is quicker isn't measured

RecordGroup = tuple[LoadedModel, Sequence[int]]  # a model and the positions of the records that it scores in one call
Outcome = TypeVar("Outcome")
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
    Where a rule refuses one, the call is refused, unless they are `apart`: then the others are answered.
    """

    records: Sequence[RecordDict]
    lines: Sequence[bytes]
    positions: Sequence[int]
    mark: CallMarker
    apart: bool = False

    def select(self, indices: Sequence[int]) -> "PendingRecords":
        """Select some of them.

        Args:
            indices: Which of these records, from 0, in ascending order.

        Returns:
            Those records.
        """
        if len(indices) == len(self.records):
            return self
        records = self.records
        return self._replace(
            records=records.select(indices)
            if isinstance(records, RecordBatch)
            else [records[each] for each in indices],
            lines=[self.lines[each] for each in indices],
            positions=[self.positions[each] for each in indices],
        )


class RefusedByRules(Exception):
    """Rules refuse some records: position, record and rule of each, and the `model` version."""

    def __init__(self, refused: Sequence[tuple[int, RecordDict, Rule]], model: str) -> None:
        super().__init__([rule.name for *_, rule in refused])
        self.refused = refused
        self.model = model


class NonFiniteOutput(ArithmeticError):
    """A model's output is NaN or infinite."""


class PartSizes:
    """Splits lists into parts that take a short time each, so that a call that hangs is soon known for one.

    The next part has as many records as would take that time at the pace of the last one, but at most eight times as
    many as that, as its records may have been the quick ones, and at most 1,024. A version's first list begins with 16,
    others at the pace of its last call.
    """

    def __init__(self, seconds: float) -> None:
        """Let a part take so many `seconds`."""
        self._seconds = seconds
        self._first_rows: dict[str, int] = {}  # by version

    def split(self, version: str, positions: Sequence[int]) -> Iterator[Sequence[int]]:
        """Split the positions of a list's records.

        Args:
            version: The version that scores them.
            positions: The positions of records, which are scored part by part as the parts are taken.

        Yields:
            The parts in their order.
        """
        size, begin = self._first_rows.get(version, FIRST_PART_ROWS), 0
        while begin < len(positions):
            part, began = positions[begin : begin + size], time.monotonic()
            yield part
            begin += size
            size = self._compute_next_rows(len(part), time.monotonic() - began, MAX_PART_GROWTH * size)

    def note_call(self, version: str, rows: int, took: float) -> None:
        """Note that a `version` `took` so many seconds for so many `rows`; few rows say nothing of its pace."""
        if rows >= FIRST_PART_ROWS:
            most = max(MAX_PART_GROWTH * rows, self._first_rows.get(version, 0))
            self._first_rows[version] = self._compute_next_rows(rows, took, most)

    def _compute_next_rows(self, rows: int, took: float, most: int) -> int:
        return max(int(min(rows * self._seconds / max(took, CLOCK_SECONDS), most, MAX_PART_ROWS)), 1)


def predict_by_group(
    groups: Iterable[RecordGroup], predict: Callable[[LoadedModel, Sequence[int]], list[Outcome]]
) -> list[Outcome]:
    """Let the model of each group predict for its records.

    Args:
        groups: Models, each with the positions of its records; the first has the first record.
        predict: Predicts with a model for the records at some positions.

    Returns:
        The predictions in the records' order.

    Raises:
        RefusedByRules: Rules of any version refuse at least one record; all refused records are in it.
    """
    scored: dict[int, Outcome] = {}
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
        For each record its prediction, or why there is none, such as `NonFiniteOutput` or `RefusedByRule`.

    Raises:
        RefusedByRules: Rules refuse at least one record, and they aren't apart.
    """
    before = [_apply_before_rules(model, record) for record in pending.records]
    refused = [
        (pending.positions[index], pending.records[index], each.rule)
        for index, each in enumerate(before)
        if isinstance(each, RefusedByRule)
    ]
    if refused and not pending.apart:
        raise RefusedByRules(refused, model.version)
    asked = [index for index, each in enumerate(before) if not isinstance(each, RefusedByRule) and each[0] is None]
    scored = dict(zip(asked, score(pending.select(asked).records) if asked else (), strict=True))
    return [
        ruled if isinstance(ruled, RefusedByRule) else _conclude(model, record, line, *ruled, scored.get(index))
        for index, (record, line, ruled) in enumerate(zip(pending.records, pending.lines, before, strict=True))
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
    model: LoadedModel, record: RecordDict
) -> tuple[RuledPrediction | None, Sequence[str]] | RefusedByRule:
    """Apply the rules that come before the model; returns the refusal of one that refuses the record."""
    try:
        return model.rules.apply_before(record)
    except RefusedByRule as refusal:
        return refusal


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
