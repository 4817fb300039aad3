"""Rows of a small service's prediction log, as the review queue picks among them, in a temporary folder."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from penumbra.logs.schema import PredictionEntry
from penumbra.rules import Between, Defer, Override, Review, Rule
from problem import schema
from tests.helpers.logs.prediction_logs import log_predictions
from tests.helpers.logs.review_cases import MONDAY
from tests.helpers.servers.local_service import PROBLEM

LOOK = Rule("look", "people look at it", Between("distance", 0, 1), Review())
CHANGE = Rule("change", "something else is decided", Between("distance", 0, 1), Override(True))
ASK = Rule("ask", "people decide", Between("distance", 0, 1), Defer(hours=8))
RULED, DEFERRING = (
    SimpleNamespace(schema=PROBLEM.schema, features=PROBLEM.features, rules=SimpleNamespace(RULES=rules))
    for rules in ((LOOK, CHANGE), (ASK,))
)
INPUTS = [0.0] * len(PROBLEM.features.FEATURES)


def make_row(number: int, output: Any = 0.9, **fields: Any) -> PredictionEntry:
    """An answer to a flight of this number by the model 1, which has no reason to be looked at."""
    record = {**schema.EXAMPLE, "flight": number, **fields.pop("record", {})}
    inputs = fields.pop("inputs", INPUTS)
    return PredictionEntry(MONDAY, "contract", record, inputs, output, fields.pop("decision", True), "1", 80, **fields)


def log_rows(folder: Path, count: int, first: int = 0, **fields: Any) -> Sequence[str]:
    """To a new segment; return the ids."""
    return log_predictions(folder, *(make_row(first + number, **fields) for number in range(count)))
