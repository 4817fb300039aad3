"""From records to what is said of them: rules before the model, the model, rules after it. Where the live model fails,
the previous one answers, and where that fails too, the baseline that stands in the live model's bundle."""

import logging
import math
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from ruling import Decision, Prediction, Rule
from service import metrics
from service.live import Live, Model
from service.messages import Contract, Record
from service.refusals import Refused
from service.rules import RefusedByRule

NO_MODEL = "there is no live model yet: `make train` makes the first, which is picked up without a restart"

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


class NoAnswer(ArithmeticError):
    """A model says NaN or infinity."""


class Decider:
    """Decides with what is live now. `one` runs on the event loop only, `many` in any thread.

    Both raise RefusedByRules, and Refused where there is no live model or nothing has an answer.
    """

    def __init__(self, live: Live, contract: Contract) -> None:
        self.live = live
        self._contract = contract
        self._reported = ""

    def one(self, record: Record) -> Said:
        model = self._model()
        try:
            said, failed = model.rules.first(record)
            if said is not None:
                return Said(model.version, (), *said)
            inputs, output = model.one(record)
            _require_finite(output)
            return Said(model.version, inputs, *model.rules.last(record, output, failed))
        except RefusedByRule as refused:
            raise RefusedByRules([(0, record, refused.rule)], model.version) from None
        except Exception as error:
            return self._instead(model, [record], error)[0]

    def many(self, records: Sequence[Record]) -> list[Said]:
        """What is said of each, all of it by one version."""
        model = self._model()
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

    def _asking(self, model: Model) -> Ask:
        def ask(records: Sequence[Record]) -> Any:
            inputs, outputs = model.many(self._contract.frame(records))
            return inputs.tolist(), outputs.tolist()

        return ask

    def _instead(self, model: Model, records: Sequence[Record], error: Exception) -> list[Said]:
        """What is said by others than the live model, which failed with this error."""
        self._report(model, error)
        if previous := self.live.previous:
            try:
                return _marked(_many(previous, records, self._asking(previous)), "previous")
            except RefusedByRules:
                raise
            except Exception as another:
                logger.debug("version %s, the previous one, failed too: %r", previous.version, another)
        if (baseline := model.bundle.facts.get("baseline")) is None:
            why = str(error) if isinstance(error, NoAnswer) else "it failed"
            raise Refused(500, f"version {model.version} of the model has no answer ({why}): nothing was predicted")
        return _marked(_many(model, records, lambda asked: ([()] * len(asked), [baseline] * len(asked))), "baseline")

    def _report(self, model: Model, error: Exception) -> None:
        """Say it once of each version; metrics count the rest."""
        if self._reported != model.version:
            self._reported = model.version
            logger.error("version %s fails, see penumbra_fallbacks for how often: %r", model.version, error)


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
