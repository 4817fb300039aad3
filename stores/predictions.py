"""The prediction log: every answered request, in an append-only log (see stores/log.py)."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec


class Entry(msgspec.Struct):
    """What the log keeps of one prediction besides its id. `record` is the request's features, as validated."""

    time: dt.datetime
    contract: str
    record: Mapping[str, Any]
    probability: float
    decision: bool
    model: str
