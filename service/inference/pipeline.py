"""From records to what is said of them: rules before the model, the model, rules after it. Where the live model fails,
the previous one answers, and where that fails too, the baseline that stands in the live model's bundle. A canary
answers for its share of the keys, and where it fails, the live model."""

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

NO_LIVE_MODEL = "there is no live model yet: `make train` makes the first, which is picked up without a restart"

CallResult = TypeVar("CallResult")
BatchScorer = Callable[[Sequence[RecordDict]], tuple[Sequence[Sequence[float]], Sequence[Prediction]]]

logger = logging.getLogger("service.inference.pipeline")


class ScoredRecord(NamedTuple):
    """What `penumbra.logs.schema.PredictionEntry` keeps of an answer. `marks` are those of its fields that are not always there."""

    model: str
    inputs: Sequence[float]
    output: Prediction
    decision: DecisionValue
    marks: dict[str, Any]


class RefusedByRules(Exception):
    """Rules refuse these of the records: position, record and rule of each; `model` is the version they went by."""

    def __init__(self, refused: Sequence[tuple[int, RecordDict, Rule]], model: str) -> None:
        super().__init__([rule.name for *_, rule in refused])
        self.refused = refused
        self.model = model


@dataclass(frozen=True)
class CanaryShare:
    """The canary's part of the keys: the same ones as long as it is the same version, others for another."""

    key: Sequence[str]
    fraction: float

    def includes(self, record: RecordDict, version: str) -> bool:
        hashed = zlib.crc32(encode_json([version, *(record[column] for column in self.key)]))
        return hashed < self.fraction * 2**32


class NonFiniteOutput(ArithmeticError):
    """A model says NaN or infinity."""


class InferencePipeline:
    """Decides with what is live now. `one` and `each` run on the event loop only, `many` in any thread.

    They raise RefusedByRules, and Refused where there is no live model or nothing has an answer.
    """

    def __init__(self, live: LiveModels, contract: Contract, share: CanaryShare | None = None) -> None:
        self.live = live
        self._contract = contract
        self._share = share
        self._reported = ""

    def predict_one(self, record: RecordDict) -> ScoredRecord:
        return self._one(self._model() if self.live.canary is None else self._choose_model(record), record)

    def predict_coalesced(self, records: Sequence[RecordDict]) -> list[ScoredRecord | Exception]:
        """What `one` says of each of a few, or in its place what it raises: they belong to requests of their own."""
        model, alone = self.live.model, len(records) == 1 or self.live.canary is not None
        if alone or model is None:
            return [try_call(self.predict_one, record) for record in records]
        return [
            try_call(self._one, model, *pair) for pair in zip(records, _score_coalesced(model, records), strict=True)
        ]

    def _one(self, model: LoadedModel, record: RecordDict, scored: ScoredInputs | None = None) -> ScoredRecord:
        try:
            said, failed = model.rules.apply_before(record)
            if said is not None:
                return ScoredRecord(model.version, (), *said)
            inputs, output = scored or model.score_one(record)
            _require_finite(output)
            return ScoredRecord(model.version, inputs, *model.rules.apply_after(record, output, failed))
        except RefusedByRule as refused:
            raise RefusedByRules([(0, record, refused.rule)], model.version) from None
        except Exception as error:
            return self._fall_back(model, [record], error)[0]

    def predict_batch(self, records: Sequence[RecordDict]) -> list[ScoredRecord]:
        """What is said of each, all of it by one version, or with a canary by two."""
        if self.live.canary is None:
            return self._predict_batch_with(self._model(), records)
        models = [self._choose_model(record) for record in records]
        return _predict_by_version(models, records, self._predict_batch_with)

    def _predict_batch_with(self, model: LoadedModel, records: Sequence[RecordDict]) -> list[ScoredRecord]:
        try:
            return _run_pipeline(model, records, self._make_batch_scorer(model))
        except RefusedByRules:
            raise
        except Exception as error:
            return self._fall_back(model, records, error)

    def _model(self) -> LoadedModel:
        if (model := self.live.model) is None:
            raise RequestRefused(503, NO_LIVE_MODEL, headers=[(b"retry-after", b"5")])
        return model

    def _choose_model(self, record: RecordDict) -> LoadedModel:
        model, canary = self._model(), self.live.canary
        return canary if canary and self._share and self._share.includes(record, canary.version) else model

    def _make_batch_scorer(self, model: LoadedModel) -> BatchScorer:
        def ask(records: Sequence[RecordDict]) -> Any:
            inputs, outputs = model.score_batch(self._contract.to_frame(records))
            return inputs.tolist(), outputs.tolist()

        return ask

    def _fall_back(self, model: LoadedModel, records: Sequence[RecordDict], error: Exception) -> list[ScoredRecord]:
        """What is said by others than this model, the live one or the canary, which failed with this error."""
        self._report(model, error)
        for role, other in self._list_fallback_models(model):
            try:
                return _mark_fallback(_run_pipeline(other, records, self._make_batch_scorer(other)), role)
            except RefusedByRules:
                raise
            except Exception as another:
                logger.debug("version %s, the %s one, failed too: %r", other.version, role, another)
        if (baseline := model.bundle.facts.get("baseline")) is None:
            why = str(error) if isinstance(error, NonFiniteOutput) else "it failed"
            raise RequestRefused(
                500, f"version {model.version} of the model has no answer ({why}): nothing was predicted"
            )
        return _mark_fallback(
            _run_pipeline(model, records, lambda asked: ([()] * len(asked), [baseline] * len(asked))), "baseline"
        )

    def _list_fallback_models(self, model: LoadedModel) -> list[tuple[str, LoadedModel]]:
        others = {"live": self.live.model, "previous": self.live.previous}
        return [(role, other) for role, other in others.items() if other and other.version != model.version]

    def _report(self, model: LoadedModel, error: Exception) -> None:
        """Say it once of each version; metrics count the rest."""
        if self._reported != model.version:
            self._reported = model.version
            logger.error("version %s fails, see penumbra_fallbacks for how often: %r", model.version, error)


def try_call(call: Callable[..., CallResult], *args: Any) -> CallResult | Exception:
    """What the call returns, or what it raises."""
    try:
        return call(*args)
    except Exception as error:
        return error


def _score_coalesced(model: LoadedModel, records: Sequence[RecordDict]) -> Sequence[ScoredInputs | None]:
    """Scored at once; None where that fails: whose fault it was is seen when each is scored alone."""
    try:
        return model.score_few(records)
    except Exception:
        return [None] * len(records)


def _predict_by_version(
    models: Sequence[LoadedModel],
    records: Sequence[RecordDict],
    by: Callable[[LoadedModel, Sequence[RecordDict]], list[ScoredRecord]],
) -> list[ScoredRecord]:
    """Each model is asked for its records; what is said comes in the records' order. Raises RefusedByRules for all that
    rules of any version refuse."""
    said: dict[int, ScoredRecord] = {}
    refused: list[tuple[int, RecordDict, Rule]] = []
    for version in dict.fromkeys(model.version for model in models):
        places = [place for place, model in enumerate(models) if model.version == version]
        model = models[places[0]]
        try:
            said |= zip(places, by(model, [records[place] for place in places]), strict=True)
        except RefusedByRules as some:
            refused += [(places[index], record, rule) for index, record, rule in some.refused]
    if refused:
        raise RefusedByRules(sorted(refused, key=itemgetter(0)), models[0].version)
    return [said[place] for place in range(len(records))]


def _run_pipeline(model: LoadedModel, records: Sequence[RecordDict], ask: BatchScorer) -> list[ScoredRecord]:
    """The list's way through the version's rules, with `ask` for the model. Raises RefusedByRules, NoAnswer, and what
    `ask` does."""
    firsts = _apply_before_rules(model, records)
    asked = [record for record, (said, _) in zip(records, firsts, strict=True) if said is None]
    answers = zip(*ask(asked), strict=True) if asked else repeat(((), None))
    found = []
    for record, (said, failed) in zip(records, firsts, strict=True):
        inputs, output = ((), None) if said else next(answers)
        if said is None:
            _require_finite(output)
            said = model.rules.apply_after(record, output, failed)
        found.append(ScoredRecord(model.version, inputs, *said))
    return found


def _apply_before_rules(model: LoadedModel, records: Sequence[RecordDict]) -> list[Any]:
    """What rules say before the model. Raises RefusedByRules for all that they refuse."""
    firsts, refused = [], []
    for index, record in enumerate(records):
        try:
            firsts.append(model.rules.apply_before(record))
        except RefusedByRule as refusal:
            refused.append((index, record, refusal.rule))
    if refused:
        raise RefusedByRules(refused, model.version)
    return firsts


def _mark_fallback(said: Sequence[ScoredRecord], fallback: str) -> list[ScoredRecord]:
    metrics.fallbacks.labels(fallback).inc(len(said))
    return [one._replace(marks={**one.marks, "fallback": fallback}) for one in said]


def _require_finite(output: Prediction) -> None:
    if not (all(map(math.isfinite, output)) if isinstance(output, list) else math.isfinite(output)):
        raise NonFiniteOutput("NaN or infinity")
