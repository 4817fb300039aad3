"""The prediction log: every answered request, in an append-only log (see stores/log.py)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Output = float | list[float]
Decision = bool | str | float


class Entry(msgspec.Struct, omit_defaults=True):
    """What the log keeps of one prediction besides its id.

    |              | `output`                                     | `decision`                         |
    |--------------|----------------------------------------------|------------------------------------|
    | binary       | the probability of True                      | bool: it reached the threshold     |
    | multi-class  | probabilities, in the order of the classes   | the name of the most probable one  |
    | regression   | the value                                    | the value                          |

    `record` is the request's features, as validated; `inputs` what the model was given, in the order of the bundle's
    features, null where missing; `rules` the names of those that fired; `micros` how many µs after the request's
    arrival this was written.
    """

    time: dt.datetime
    contract: str
    record: Mapping[str, Any]
    inputs: Sequence[float]
    output: Output
    decision: Decision
    model: str
    micros: int
    rules: Sequence[str] = ()
