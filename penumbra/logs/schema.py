"""The prediction log: every answered request, in an append-only log (see penumbra/logs/append_log.py)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

OutputValue = float | list[float]
LoggedDecision = bool | str | float


class PredictionEntry(msgspec.Struct, omit_defaults=True):
    """What the log keeps of one prediction besides its id.

    |              | `output`                                     | `decision`                         |
    |--------------|----------------------------------------------|------------------------------------|
    | binary       | the probability of True                      | bool: it reached the threshold     |
    | multi-class  | probabilities, in the order of the classes   | the name of the most probable one  |
    | regression   | the value                                    | the value                          |

    `record` is the request's features, as validated; `inputs` what the model was given, in the order of the bundle's
    features, null where missing, and empty where no model was asked; `micros` how many µs after the request's arrival
    this was written. Only where due: `rules` are the names of those that fired, `failed_rules` of those that raised an
    error; `review` is true where people are to look at it; `fallback` is "previous" or "baseline" where that answered
    because the live model failed, "live" where a canary did; `model` is then the version that answered, or whose
    baseline it is.
    """

    time: dt.datetime
    contract: str
    record: Mapping[str, Any]
    inputs: Sequence[float]
    output: OutputValue
    decision: LoggedDecision
    model: str
    micros: int
    rules: Sequence[str] = ()
    review: bool = False
    failed_rules: Sequence[str] = ()
    fallback: str = ""


class RefusalEntry(msgspec.Struct):
    """What the log of refusals keeps of one record that a rule refused to answer, by what version `model` knew."""

    time: dt.datetime
    contract: str
    record: Mapping[str, Any]
    rule: str
    model: str


def get_refusals_folder(folder: Path) -> Path:
    """Where the refusals are kept of the prediction log in this folder."""
    return folder / "refused"


class BrokenCountEntry(msgspec.Struct):
    """How many records broke the contract in some seconds until `time`, and how many of them in which field."""

    time: dt.datetime
    records: int
    fields: Mapping[str, int]


def get_broken_counts_folder(folder: Path) -> Path:
    """Where those are counted, of the prediction log in this folder."""
    return folder / "broken"
