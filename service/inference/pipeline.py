"""The inference pipeline: rules before the model, the model, rules after it, and the fallback where a model fails.

Where the live model fails, the previous one answers, and where that fails too, the baseline in the live model's bundle.
A canary answers for its share of the keys, and where it fails, the live model does.
"""

import logging
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from penumbra.logs.append_log import encode_json
from penumbra.rules import DecisionValue, Prediction, Rule
from service.http import metrics
from service.http.record_reader import Contract, RecordDict
from service.http.refusals import RequestRefused
from service.inference.live_model import LiveModels, LoadedModel, ScoredInputs
from service.inference.rule_engine import RefusedByRule

CallResult = TypeVar("CallResult")
BatchScorer = Callable[[Sequence[RecordDict]], tuple[Sequence[Sequence[float]], Sequence[Prediction]]]

logger = logging.getLogger("service.inference.pipeline")


class ScoredRecord(NamedTuple):
    """The fields of `PredictionEntry` that the pipeline determines; `marks` are its optional fields."""

    model: str
    inputs: Sequence[float]
    output: Prediction
    decision: DecisionValue
    marks: dict[str, Any]


class RefusedByRules(Exception):
    """Rules refuse some records: position, record and rule of each, and the `model` version."""

    def __init__(self, refused: Sequence[tuple[int, RecordDict, Rule]], model: str) -> None:
        super().__init__([rule.name for *_, rule in refused])
        self.refused = refused
        self.model = model


@dataclass(frozen=True)
class CanaryShare:
    """The canary's fraction of the keys: the same keys for one version, others for another."""

    key: Sequence[str]
    fraction: float

    def includes(self, record: RecordDict, version: str) -> bool:
        """Check whether the canary answers a record.

        Args:
            record: The record, with the columns of the key.
            version: The canary's version, which is hashed with the key.

        Returns:
            True for a `fraction` of all keys.
        """
        hashed = zlib.crc32(encode_json([version, *(record[column] for column in self.key)]))
        return hashed < self.fraction * 2**32


class NonFiniteOutput(ArithmeticError):
    """A model's output is NaN or infinite."""


class InferencePipeline:
    """Predicts with the models that are loaded now.

    `predict_one` and `predict_coalesced` run on the event loop only, `predict_batch` in any thread.
    """

    def __init__(self, live: LiveModels, contract: Contract, share: CanaryShare | None = None) -> None:
        self.live = live
        self._contract = contract
        self._share = share
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
        return self._predict_with(
            self._get_live_model() if self.live.canary is None else self._choose_model(record), record
        )

    def predict_coalesced(self, records: Sequence[RecordDict]) -> list[ScoredRecord | Exception]:
        """Predict for a few records of separate requests that arrived together.

        Args:
            records: The records by column.

        Returns:
            For each record the result of `predict_one`, or the exception that it raises.
        """
        model, is_separate = self.live.model, len(records) == 1 or self.live.canary is not None
        if is_separate or model is None:
            return [try_call(self.predict_one, record) for record in records]
        return [
            try_call(self._predict_with, model, *pair)
            for pair in zip(records, _score_coalesced(model, records), strict=True)
        ]

    def _predict_with(self, model: LoadedModel, record: RecordDict, scored: ScoredInputs | None = None) -> ScoredRecord:
        try:
            ruled, failed = model.rules.apply_before(record)
            if ruled is not None:
                return ScoredRecord(model.version, (), *ruled)
            inputs, output = scored or model.score_one(record)
            _require_finite(output)
            return ScoredRecord(model.version, inputs, *model.rules.apply_after(record, output, failed))
        except RefusedByRule as refused:
            raise RefusedByRules([(0, record, refused.rule)], model.version) from None
        except Exception as error:
            return self._fall_back(model, [record], error)[0]

    def predict_batch(self, records: Sequence[RecordDict]) -> list[ScoredRecord]:
        """Predict for a list of records, all with one version, or with two where there is a canary.

        Args:
            records: The records by column.

        Returns:
            The predictions in the records' order.

        Raises:
            RefusedByRules: Rules refuse at least one record.
            RequestRefused: There is no live model, or neither a model nor the baseline has an answer.
        """
        if self.live.canary is None:
            return self._predict_batch_with(self._get_live_model(), records)
        models = [self._choose_model(record) for record in records]
        return _predict_by_version(models, records, self._predict_batch_with)

    def _predict_batch_with(self, model: LoadedModel, records: Sequence[RecordDict]) -> list[ScoredRecord]:
        try:
            return _run_pipeline(model, records, self._make_batch_scorer(model))
        except RefusedByRules:
            raise
        except Exception as error:
            return self._fall_back(model, records, error)

    def _get_live_model(self) -> LoadedModel:
        if (model := self.live.model) is None:
            raise RequestRefused(503, self.live.explain_absence(), headers=[(b"retry-after", b"5")])
        return model

    def _choose_model(self, record: RecordDict) -> LoadedModel:
        model, canary = self._get_live_model(), self.live.canary
        return canary if canary and self._share and self._share.includes(record, canary.version) else model

    def _make_batch_scorer(self, model: LoadedModel) -> BatchScorer:
        def score(records: Sequence[RecordDict]) -> Any:
            inputs, outputs = model.score_batch(self._contract.to_frame(records))
            return inputs.tolist(), outputs.tolist()

        return score

    def _fall_back(self, model: LoadedModel, records: Sequence[RecordDict], error: Exception) -> list[ScoredRecord]:
        """Predict without this model (the live one or the canary), which failed with this error."""
        self._report_failure(model, error)
        for role, other in self._list_fallback_models(model):
            try:
                return _mark_fallback(_run_pipeline(other, records, self._make_batch_scorer(other)), role)
            except RefusedByRules:
                raise
            except Exception as another:
                logger.debug("version %s, the %s one, failed too: %r", other.version, role, another)
        if (baseline := model.bundle.facts.get("baseline")) is None:
            reason = str(error) if isinstance(error, NonFiniteOutput) else "it failed"
            raise RequestRefused(
                500, f"version {model.version} of the model has no answer ({reason}): nothing was predicted"
            )
        return _mark_fallback(
            _run_pipeline(model, records, lambda rest: ([()] * len(rest), [baseline] * len(rest))), "baseline"
        )

    def _list_fallback_models(self, model: LoadedModel) -> list[tuple[str, LoadedModel]]:
        others = {"live": self.live.model, "previous": self.live.previous}
        return [(role, other) for role, other in others.items() if other and other.version != model.version]

    def _report_failure(self, model: LoadedModel, error: Exception) -> None:
        """Log the failure once for each version; metrics count all of them."""
        if self._reported != model.version:
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
    except Exception:
        return [None] * len(records)


def _predict_by_version(
    models: Sequence[LoadedModel],
    records: Sequence[RecordDict],
    predict: Callable[[LoadedModel, Sequence[RecordDict]], list[ScoredRecord]],
) -> list[ScoredRecord]:
    """Let each model predict for its own records.

    Returns:
        The predictions in the records' order.

    Raises:
        RefusedByRules: Rules of any version refuse at least one record; all refused records are in it.
    """
    scored: dict[int, ScoredRecord] = {}
    refused: list[tuple[int, RecordDict, Rule]] = []
    for version in dict.fromkeys(model.version for model in models):
        positions = [position for position, model in enumerate(models) if model.version == version]
        model = models[positions[0]]
        try:
            scored |= zip(positions, predict(model, [records[position] for position in positions]), strict=True)
        except RefusedByRules as by_version:
            refused += [(positions[index], record, rule) for index, record, rule in by_version.refused]
    if refused:
        raise RefusedByRules(sorted(refused, key=itemgetter(0)), models[0].version)
    return [scored[position] for position in range(len(records))]


def _run_pipeline(model: LoadedModel, records: Sequence[RecordDict], score: BatchScorer) -> list[ScoredRecord]:
    """Predict for a list with one version's rules, and `score` in place of the model.

    Raises:
        RefusedByRules: Rules refuse at least one record.
        NonFiniteOutput: An output is NaN or infinite. Whatever `score` raises is raised too.
    """
    before = _apply_before_rules(model, records)
    unruled = [record for record, (ruled, _) in zip(records, before, strict=True) if ruled is None]
    scores = zip(*score(unruled), strict=True) if unruled else repeat(((), None))
    scored = []
    for record, (ruled, failed) in zip(records, before, strict=True):
        inputs, output = ((), None) if ruled else next(scores)
        if ruled is None:
            _require_finite(output)
            ruled = model.rules.apply_after(record, output, failed)
        scored.append(ScoredRecord(model.version, inputs, *ruled))
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


def _mark_fallback(scored: Sequence[ScoredRecord], fallback: str) -> list[ScoredRecord]:
    metrics.fallbacks.labels(fallback).inc(len(scored))
    return [record._replace(marks={**record.marks, "fallback": fallback}) for record in scored]


def _require_finite(output: Prediction) -> None:
    if not (all(map(math.isfinite, output)) if isinstance(output, list) else math.isfinite(output)):
        raise NonFiniteOutput("NaN or infinity")
