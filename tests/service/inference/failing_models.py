"""Models that fail, and what they are asked."""

import sys
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from penumbra.rules import Answer, Between, CloseCall, OneOf, Refuse, Review, Rule
from problem import schema
from service.http.requests.record_reader import Contract
from service.inference.models.live_model import LoadedModel
from service.inference.pipeline import InferencePipeline

BASELINE = 0.25
FAR = Rule("far", "too far to say", Between("distance", 9000, 10_000), Answer())
CLOSED = Rule("closed", "nothing leaves from there", OneOf("origin", ["LGA"]), Refuse())
CLOSE = Rule("close", "may be either", CloseCall(0.3), Review())
CONTRACT = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=100)
RECORD = CONTRACT.parse_one(msgspec.json.encode(schema.EXAMPLE))


class Raising(LoadedModel):
    def score_few(self, records: Any) -> Any:
        raise RuntimeError("harmed")

    def score_features(self, features: Any) -> Any:
        raise RuntimeError("harmed")


class Exiting(LoadedModel):
    def score_few(self, records: Any) -> Any:
        sys.exit(4)

    def score_features(self, features: Any) -> Any:
        sys.exit(4)


class NotANumber(LoadedModel):
    def score_few(self, records: Any) -> Any:
        return [([], float("nan"))] * len(records)

    def score_features(self, features: Any) -> Any:
        return np.zeros((len(features), 1)), np.full(len(features), np.nan)


HARMS: dict[str, tuple[type[LoadedModel], Callable[[Any], Any]]] = {
    "raises": (Raising, lambda record: 1 / 0),
    "exits": (Exiting, lambda record: sys.exit(4)),
    "says NaN": (NotANumber, lambda record: ([], float("nan"))),
}


def break_model(pipeline: InferencePipeline, which: str, how: str) -> None:
    """Make the live or the previous model fail from now on."""
    model, (kind, one) = getattr(pipeline.live, which), HARMS[how]
    setattr(pipeline.live, which, kind(model.version, one, model.decide, model.rules, model.bundle))
