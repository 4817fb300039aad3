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

from ruling import Decision, Prediction, Rule
from service import metrics
from service.live import Live, Model, Scored
from service.messages import Contract, Record
from service.refusals import Refused
from service.rules import RefusedByRule
from stores.log import encode

NO_MODEL = "there is no live model yet: `make train` makes the first, which is picked up without a restart"

Made = TypeVar("Made")
Ask = Callable[[Sequence[Record]], tuple[Sequence[Sequence[float]], Sequence[Prediction]]]

logger = logging.getLogger("service.decider")


class Said(NamedTuple):
    """What `stores.predictions.Entry` keeps of an answer. `marks` are those of its fields that are not always there."""

    model: str
    inputs: Sequence[float]
    output: Prediction
    decision: Decision
    marks: dict[str, Any]


class RefusedByRules(Exception):
    """Rules refuse these of the records: position, record and rule of each; `model` is the version they went by."""

    def __init__(self, refused: Sequence[tuple[int, Record, Rule]], model: str) -> None:
        super().__init__([rule.name for *_, rule in refused])
        self.refused = refused
        self.model = model


@dataclass(frozen=True)
class Share:
    """The canary's part of the keys: the same ones as long as it is the same version, others for another."""

    key: Sequence[str]
    of: float

    def has(self, record: Record, version: str) -> bool:
        hashed = zlib.crc32(encode([version, *(record[column] for column in self.key)]))
        return hashed < self.of * 2**32


class NoAnswer(ArithmeticError):
    """A model says NaN or infinity."""


class Decider:
    """Decides with what is live now. `one` and `each` run on the event loop only, `many` in any thread.

    They raise RefusedByRules, and Refused where there is no live model or nothing has an answer.
    """

    def __init__(self, live: Live, contract: Contract, share: Share | None = None) -> None:
        self.live = live
        self._contract = contract
        self._share = share
        self._reported = ""

    def one(self, record: Record) -> Said:
        return self._one(self._model() if self.live.canary is None else self._model_of(record), record)

    def each(self, records: Sequence[Record]) -> list[Said | Exception]:
        """What `one` says of each of a few, or in its place what it raises: they belong to requests of their own."""
        model, alone = self.live.model, len(records) == 1 or self.live.canary is not None
        if alone or model is None:
            return [caught(self.one, record) for record in records]
        return [caught(self._one, model, *pair) for pair in zip(records, _scored(model, records), strict=True)]

    def _one(self, model: Model, record: Record, scored: Scored | None = None) -> Said:
        try:
            said, failed = model.rules.first(record)
            if said is not None:
                return Said(model.version, (), *said)
            inputs, output = scored or model.one(record)
            _require_finite(output)
            return Said(model.version, inputs, *model.rules.last(record, output, failed))
        except RefusedByRule as refused:
            raise RefusedByRules([(0, record, refused.rule)], model.version) from None
        except Exception as error:
            return self._instead(model, [record], error)[0]

    def many(self, records: Sequence[Record]) -> list[Said]:
        """What is said of each, all of it by one version, or with a canary by two."""
        if self.live.canary is None:
            return self._by(self._model(), records)
        models = [self._model_of(record) for record in records]
        return _in_parts(models, records, self._by)

    def _by(self, model: Model, records: Sequence[Record]) -> list[Said]:
        try:
            return _many(model, records, self._asking(model))
        except RefusedByRules:
            raise
        except Exception as error:
            return self._instead(model, records, error)

    def _model(self) -> Model:
        if (model := self.live.model) is None:
            raise Refused(503, NO_MODEL, headers=[(b"retry-after", b"5")])
        return model

    def _model_of(self, record: Record) -> Model:
        model, canary = self._model(), self.live.canary
        return canary if canary and self._share and self._share.has(record, canary.version) else model

    def _asking(self, model: Model) -> Ask:
        def ask(records: Sequence[Record]) -> Any:
            inputs, outputs = model.many(self._contract.frame(records))
            return inputs.tolist(), outputs.tolist()

        return ask

    def _instead(self, model: Model, records: Sequence[Record], error: Exception) -> list[Said]:
        """What is said by others than this model, the live one or the canary, which failed with this error."""
        self._report(model, error)
        for role, other in self._standing_in(model):
            try:
                return _marked(_many(other, records, self._asking(other)), role)
            except RefusedByRules:
                raise
            except Exception as another:
                logger.debug("version %s, the %s one, failed too: %r", other.version, role, another)
        if (baseline := model.bundle.facts.get("baseline")) is None:
            why = str(error) if isinstance(error, NoAnswer) else "it failed"
            raise Refused(500, f"version {model.version} of the model has no answer ({why}): nothing was predicted")
        return _marked(_many(model, records, lambda asked: ([()] * len(asked), [baseline] * len(asked))), "baseline")

    def _standing_in(self, model: Model) -> list[tuple[str, Model]]:
        others = {"live": self.live.model, "previous": self.live.previous}
        return [(role, other) for role, other in others.items() if other and other.version != model.version]

    def _report(self, model: Model, error: Exception) -> None:
        """Say it once of each version; metrics count the rest."""
        if self._reported != model.version:
            self._reported = model.version
            logger.error("version %s fails, see penumbra_fallbacks for how often: %r", model.version, error)


def caught(call: Callable[..., Made], *args: Any) -> Made | Exception:
    """What the call returns, or what it raises."""
    try:
        return call(*args)
    except Exception as error:
        return error


def _scored(model: Model, records: Sequence[Record]) -> Sequence[Scored | None]:
    """Scored at once; None where that fails: whose fault it was is seen when each is scored alone."""
    try:
        return model.few(records)
    except Exception:
        return [None] * len(records)


def _in_parts(
    models: Sequence[Model], records: Sequence[Record], by: Callable[[Model, Sequence[Record]], list[Said]]
) -> list[Said]:
    """Each model is asked for its records; what is said comes in the records' order. Raises RefusedByRules for all that
    rules of any version refuse."""
    said: dict[int, Said] = {}
    refused: list[tuple[int, Record, Rule]] = []
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


def _many(model: Model, records: Sequence[Record], ask: Ask) -> list[Said]:
    """The list's way through the version's rules, with `ask` for the model. Raises RefusedByRules, NoAnswer, and what
    `ask` does."""
    firsts = _firsts(model, records)
    asked = [record for record, (said, _) in zip(records, firsts, strict=True) if said is None]
    answers = zip(*ask(asked), strict=True) if asked else repeat(((), None))
    found = []
    for record, (said, failed) in zip(records, firsts, strict=True):
        inputs, output = ((), None) if said else next(answers)
        if said is None:
            _require_finite(output)
            said = model.rules.last(record, output, failed)
        found.append(Said(model.version, inputs, *said))
    return found


def _firsts(model: Model, records: Sequence[Record]) -> list[Any]:
    """What rules say before the model. Raises RefusedByRules for all that they refuse."""
    firsts, refused = [], []
    for index, record in enumerate(records):
        try:
            firsts.append(model.rules.first(record))
        except RefusedByRule as refusal:
            refused.append((index, record, refusal.rule))
    if refused:
        raise RefusedByRules(refused, model.version)
    return firsts


def _marked(said: Sequence[Said], fallback: str) -> list[Said]:
    metrics.fallbacks.labels(fallback).inc(len(said))
    return [one._replace(marks={**one.marks, "fallback": fallback}) for one in said]


def _require_finite(output: Prediction) -> None:
    if not (all(map(math.isfinite, output)) if isinstance(output, list) else math.isfinite(output)):
        raise NoAnswer("NaN or infinity")
