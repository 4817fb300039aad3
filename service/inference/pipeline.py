"""The inference pipeline: rules before the model, the model, rules after it, and the fallback where a model fails.

Where the live model fails, the previous one answers, and where that fails too, the baseline in the live model's bundle.
A canary answers for its share of the keys, and where it fails, the live model does.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from penumbra.core.text.errors import USER_ERRORS, ensure_exception
from penumbra.logs.append_log import encode_json
from service.http import metrics
from service.http.refusals import RequestRefused
from service.http.requests.record_batch import RecordDict, encode_record_lines
from service.http.requests.record_reader import Contract
from service.inference.blocked_records import BlockedRecords, RecordBlocked
from service.inference.models.canary_share import CanaryShare
from service.inference.models.live_model import LiveModels, LoadedModel, ScoredInputs
from service.inference.rules.rule_engine import RefusedByRule
from service.inference.runs.batch_run import (
    NonFiniteOutput,
    PartSizes,
    PendingRecords,
    RecordGroup,
    RefusedByRules,
    ScoredRecord,
    predict_by_group,
    require_finite,
    run_batch,
)
from service.inference.runs.list_runner import ListRunner
from service.inference.scoring_marks import CallMarks, WorkerMarks

BASELINE = "baseline"
PART_SHARE = 0.1  # of the time after which a worker counts as hanging, for a part of a list
CallResult = TypeVar("CallResult")
BatchRun = Callable[[PendingRecords], list[ScoredRecord | Exception]]
Concluded = ScoredRecord | RefusedByRule  # what isn't for a fallback

logger = logging.getLogger("service.inference.pipeline")


class InferencePipeline:
    """Predicts with the models that are loaded now.

    `predict_one` and `predict_coalesced` run on the event loop only, `predict_batch` in any thread. All mark what they
    score, so that a record that ends the worker is known by it.
    """

    def __init__(
        self,
        live: LiveModels,
        contract: Contract,
        share: CanaryShare | None = None,
        marks: CallMarks | None = None,
    ) -> None:
        """Predict by `live`; `marks` are those of this process, created where they are not given."""
        self.live = live
        self.marks: CallMarks = marks or WorkerMarks(live.state)
        self.blocked = BlockedRecords(live.state)
        self._share = share
        self._parts = PartSizes(PART_SHARE * self.marks.patience)
        self._runner = ListRunner(contract, self._parts)
        self._reported = ""

    def predict_one(self, record: RecordDict) -> ScoredRecord:
        """Predict for one record, with the live model or the canary.

        Args:
            record: The record by column.

        Returns:
            The prediction, the decision and the marks.

        Raises:
            RefusedByRules: A rule refuses the record.
            RequestRefused: There is no live model, or neither a model nor the baseline has an answer.
        """
        (outcome,) = self.predict_coalesced([record])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def predict_coalesced(self, records: Sequence[RecordDict]) -> list[ScoredRecord | Exception]:
        """Predict for a few records of separate requests that arrived together.

        Args:
            records: The records by column.

        Returns:
            For each record the result of `predict_one`, or the exception that it raises.
        """
        lines, model = [encode_json(record) for record in records], self.live.model
        try:
            if model is None or self.live.canary is not None or len(records) == 1 or self._has_doubtful(model, lines):
                return [try_call(self._predict_alone, *pair) for pair in zip(records, lines, strict=True)]
            self.marks.mark_call(model.version, lines)
            scored = _score_coalesced(model, records)
            return [try_call(self._predict_with, model, *each) for each in zip(records, lines, scored, strict=True)]
        finally:
            self.marks.clear_call()

    def _predict_alone(self, record: RecordDict, line: bytes) -> ScoredRecord:
        model = self._get_live_model() if self.live.canary is None else self._choose_model(record)
        return self._predict_with(model, record, line)

    def _predict_with(
        self, model: LoadedModel, record: RecordDict, line: bytes, scored: ScoredInputs | None = None
    ) -> ScoredRecord:
        self.marks.mark_call(model.version, (line,))
        try:
            if self.blocked.is_active:
                self.blocked.require_allowed(model.version, (line,))
            inputs: Sequence[float] = ()
            ruled, failed = model.rules.apply_before(record)
            if ruled is None:
                inputs, output = scored or model.score_one(record)
                require_finite(output)
                ruled = model.rules.apply_after(record, output, failed)
        except RefusedByRule as refused:
            self.blocked.clear_suspects(model.version, (line,))
            raise RefusedByRules([(0, record, refused.rule)], model.version) from None
        except USER_ERRORS as error:
            self.blocked.clear_suspects(model.version, (line,))
            pending = PendingRecords([record], [line], [0], self.marks.mark_call)
            return self._fall_back(model, pending, ensure_exception(error))[0]  # type: ignore[return-value]
        if self.blocked.is_active:
            self.blocked.clear_suspects(model.version, (line,))
        return ScoredRecord(msgspec.Raw(line), model.version, inputs, *ruled)

    def _has_doubtful(self, model: LoadedModel, lines: Sequence[bytes]) -> bool:
        return self.blocked.is_active and any(self.blocked.is_doubtful(model.version, line) for line in lines)

    def predict_batch(self, records: Sequence[RecordDict]) -> list[ScoredRecord]:
        """Predict for a list of records, each as `predict_one` does.

        Args:
            records: The records by column.

        Returns:
            The predictions in the records' order.

        Raises:
            RefusedByRules: Rules refuse at least one record; all refused records are in it.
            RequestRefused: There is no live model, or neither a model nor the baseline has an answer.
        """
        return self._predict_list(records, apart=False)  # type: ignore[return-value]

    def predict_each(self, records: Sequence[RecordDict]) -> list[Concluded]:
        """Predict for records of which those that rules refuse don't keep the others from being answered.

        Args:
            records: The records by column.

        Returns:
            The predictions in the records' order, or the refusals.

        Raises:
            RequestRefused: There is no live model, or neither a model nor the baseline has an answer for one.
        """
        return self._predict_list(records, apart=True)

    def _predict_list(self, records: Sequence[RecordDict], apart: bool) -> list[Concluded]:
        lines, model = encode_record_lines(records), self._get_live_model()
        with self.marks.open_thread_call() as mark:
            pending = PendingRecords(records, lines, range(len(records)), mark, apart)
            return predict_by_group(
                self._list_parts(model, pending),
                lambda model, positions: self._predict_batch_with(model, pending.select(positions)),
            )

    def _list_parts(self, live: LoadedModel, pending: PendingRecords) -> Iterator[RecordGroup]:
        """Yield the parts of a list that are scored in one call each, one after the other: so the worker is known to
        hang long before the whole list could be done."""
        groups: list[RecordGroup] = [(live, range(len(pending.lines)))]
        if self.live.canary is not None or self._has_doubtful(live, pending.lines):
            groups = self._assign_groups([self._choose_model(record) for record in pending.records], pending.lines)
        for model, positions in groups:
            for part in self._parts.split(model.version, positions):
                yield model, part

    def _assign_groups(self, models: Sequence[LoadedModel], lines: Sequence[bytes]) -> list[RecordGroup]:
        """Put the positions of records together by version, but those of doubtful records apart."""
        groups: dict[tuple[str, bytes], tuple[LoadedModel, list[int]]] = {}
        for position, (model, line) in enumerate(zip(models, lines, strict=True)):
            apart = line if self._has_doubtful(model, [line]) else b""
            groups.setdefault((model.version, apart), (model, []))[1].append(position)
        return [*groups.values()]

    def _predict_batch_with(self, model: LoadedModel, pending: PendingRecords) -> list[Concluded]:
        outcomes = self._run_marked(model.version, pending, partial(self._runner.run, model))
        errors = {index: outcome for index, outcome in enumerate(outcomes) if not isinstance(outcome, Concluded)}
        if errors:
            stand_ins = self._fall_back(model, pending.select([*errors]), next(iter(errors.values())))
            for index, stand_in in zip(errors, stand_ins, strict=True):
                outcomes[index] = stand_in
        return outcomes  # type: ignore[return-value]

    def _run_marked(self, name: str, pending: PendingRecords, run: BatchRun) -> list[ScoredRecord | Exception]:
        """Run the pipeline, marked as a call of the version `name`, unless a record is blocked for that."""
        if self.blocked.is_active:
            try:
                self.blocked.require_allowed(name, pending.lines)
            except RecordBlocked as blocked:
                return [blocked] * len(pending.lines)
        pending.mark(name, pending.lines)
        try:
            outcomes = run(pending)
        except RefusedByRules:
            self.blocked.clear_suspects(name, pending.lines)
            raise
        self.blocked.clear_suspects(name, pending.lines)
        return outcomes

    def _get_live_model(self) -> LoadedModel:
        if (model := self.live.model) is None:
            raise RequestRefused(503, self.live.explain_absence(), headers=[(b"retry-after", b"5")])
        return model

    def _choose_model(self, record: RecordDict) -> LoadedModel:
        model, canary = self._get_live_model(), self.live.canary
        return canary if canary and self._share and self._share.includes(record, canary.version) else model

    def _fall_back(self, model: LoadedModel, pending: PendingRecords, error: Exception) -> list[Concluded]:
        """Predict for records that this model (the live one or the canary) failed on, with such an error.

        Raises:
            RefusedByRules: Rules of another version refuse at least one record, and they aren't apart.
            RequestRefused: A record has no answer.
        """
        self._report_failure(model, error)
        answers: dict[int, Concluded] = {}
        for role, name, run in self._list_fallbacks(model):
            if rest := [index for index in range(len(pending.lines)) if index not in answers]:
                outcomes = self._run_marked(name, pending.select(rest), run)
                answers |= _mark_fallback(rest, outcomes, role)
                if name == BASELINE:
                    error = next((each for each in outcomes if not isinstance(each, Concluded)), error)
        if len(answers) < len(pending.lines):
            raise _build_failure_refusal(model, error)
        return [answers[index] for index in range(len(pending.lines))]

    def _list_fallbacks(self, model: LoadedModel) -> Iterator[tuple[str, str, BatchRun]]:
        """Yield what answers where this model fails: role, name of the call, and the run by that version's rules."""
        for role, other in (("live", self.live.model), ("previous", self.live.previous)):
            if other and other.version != model.version:
                yield role, other.version, partial(self._runner.run, other)
        if (baseline := model.bundle.facts.get(BASELINE)) is not None:
            yield BASELINE, BASELINE, partial(run_batch, model, score=lambda records: [([], baseline)] * len(records))

    def _report_failure(self, model: LoadedModel, error: Exception) -> None:
        """Log the failure once for each version; metrics count all of them."""
        if self._reported != model.version and not isinstance(error, RecordBlocked):
            self._reported = model.version
            logger.error("version %s fails, see penumbra_fallbacks for how often: %r", model.version, error)


def try_call(call: Callable[..., CallResult], *args: Any) -> CallResult | Exception:
    """Call a function, and return its exception instead of raising it.

    Args:
        call: The function, called with `args`.

    Returns:
        The function's result, or the exception that it raised.
    """
    try:
        return call(*args)
    except Exception as error:
        return error


def _score_coalesced(model: LoadedModel, records: Sequence[RecordDict]) -> Sequence[ScoredInputs | None]:
    """Score records in one call; return None for each where that fails, so that each is then scored alone."""
    try:
        return model.score_few(records)
    except USER_ERRORS:
        return [None] * len(records)


def _build_failure_refusal(model: LoadedModel, error: Exception) -> RequestRefused:
    if isinstance(error, RecordBlocked):
        return RequestRefused(422, f"{error}, and no other model has an answer: nothing was predicted")
    reason = str(error) if isinstance(error, NonFiniteOutput) else "it failed"
    return RequestRefused(500, f"version {model.version} of the model has no answer ({reason}): nothing was predicted")


def _mark_fallback(
    indices: Sequence[int], outcomes: Sequence[ScoredRecord | Exception], role: str
) -> dict[int, Concluded]:
    """Return the answers among the outcomes by index, each with what gave it, and count them; and the refusals."""
    refused = {index: each for index, each in zip(indices, outcomes, strict=True) if isinstance(each, RefusedByRule)}
    answers = {
        index: outcome._replace(marks={**outcome.marks, "fallback": role})
        for index, outcome in zip(indices, outcomes, strict=True)
        if isinstance(outcome, ScoredRecord)
    }
    metrics.fallbacks.labels(role).inc(len(answers))
    return answers | refused
