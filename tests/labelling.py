"""Small logs of predictions and labels in a temporary folder, and the index of them."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from problem import schema
from stores import joined
from stores.index import Index
from stores.labels import Label, Terms
from stores.log import Writer, encode
from stores.predictions import Entry

NOON = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)
MORNING, EVENING = NOON - dt.timedelta(hours=3), NOON + dt.timedelta(hours=5)
TERMS = Terms.of(schema)


def hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


def key(flight: int) -> tuple[Any, ...]:
    return "UA", flight, NOON


def index(folder: Path) -> Index:
    return Index(folder / "predictions", folder / "labels", TERMS)


def append(folder: Path, entries: Sequence[Any]) -> list[str]:
    """To a new segment."""
    writer = Writer(folder)
    ids = writer.append([encode(entry) for entry in entries])
    writer.close()
    return ids


def prediction(flight: int, time: dt.datetime = MORNING, model: str = "7") -> Entry:
    record = dict(zip(TERMS.key, key(flight), strict=True))
    return Entry(time, "contract", record, [], flight / 10, False, model, 80)


def by_key(flight: int, minutes: int | None, time: dt.datetime = EVENING) -> Label:
    return Label(time, "feedback", {"arr_delay": minutes}, key(flight))


def by_id(name: str, minutes: int | None, time: dt.datetime = EVENING) -> Label:
    return Label(time, "feedback", {"arr_delay": minutes}, prediction=name)


def predict(folder: Path, *entries: Entry) -> list[str]:
    return append(folder / "predictions", entries)


def report(folder: Path, *labels: Label) -> list[str]:
    return append(folder / "labels", labels)


def outcomes(folder: Path) -> list[str]:
    """What came of each label, in the order of their arrival."""
    with up_to_date(folder).open() as db:
        return [row[0] for row in db.execute("SELECT outcome FROM outcomes ORDER BY time, segment, position")]


def up_to_date(folder: Path) -> Index:
    made = index(folder)
    made.catch_up()
    return made


def delays(folder: Path) -> list[Any]:
    """The label of each prediction."""
    return joined.joined(up_to_date(folder))["arr_delay"].to_list()
