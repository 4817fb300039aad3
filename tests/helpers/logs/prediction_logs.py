"""Small logs of predictions and labels in a temporary folder, and the index of them."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.labels import LabelSpec
from penumbra.logs.schema import LabelEntry, PredictionEntry
from problem import schema

NOON = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)
MORNING, EVENING = NOON - dt.timedelta(hours=3), NOON + dt.timedelta(hours=5)
LABEL_SPEC = LabelSpec.from_schema(schema)


def make_hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


def make_key(flight: int) -> tuple[Any, ...]:
    return "UA", flight, NOON


def make_index(folder: Path) -> LogIndex:
    return LogIndex(folder / "predictions", folder / "labels", LABEL_SPEC)


def append_to_new_segment(folder: Path, entries: Sequence[Any]) -> list[str]:
    """To a new segment."""
    writer = LogWriter(folder)
    ids = writer.append([encode_json(entry) for entry in entries])
    writer.close()
    return ids


def make_prediction(flight: int, time: dt.datetime = MORNING, model: str = "7") -> PredictionEntry:
    record = dict(zip(LABEL_SPEC.key, make_key(flight), strict=True))
    return PredictionEntry(time, "contract", record, [], flight / 10, False, model, 80)


def make_label_by_key(flight: int, minutes: int | None, time: dt.datetime = EVENING) -> LabelEntry:
    return LabelEntry(time, "feedback", {"arr_delay": minutes}, make_key(flight))


def make_label_by_id(name: str, minutes: int | None, time: dt.datetime = EVENING) -> LabelEntry:
    return LabelEntry(time, "feedback", {"arr_delay": minutes}, prediction=name)


def make_review_label(
    name: str, minutes: int | None, time: dt.datetime = EVENING, probability: float = 0.25
) -> LabelEntry:
    """A label of people for a prediction."""
    return LabelEntry(time, "review", {"arr_delay": minutes}, prediction=name, probability=probability)


def take_label_back(name: str, time: dt.datetime = EVENING) -> LabelEntry:
    return LabelEntry(time, "review", {}, prediction=name)


def log_predictions(folder: Path, *entries: PredictionEntry) -> list[str]:
    return append_to_new_segment(folder / "predictions", entries)


def log_labels(folder: Path, *labels: LabelEntry) -> list[str]:
    return append_to_new_segment(folder / "labels", labels)


def read_label_outcomes(folder: Path) -> list[str]:
    """What came of each label, in the order of their arrival."""
    with make_updated_index(folder).open() as db:
        return [row[0] for row in db.execute("SELECT outcome FROM outcomes ORDER BY time, segment, position")]


def make_updated_index(folder: Path) -> LogIndex:
    made = make_index(folder)
    made.catch_up()
    return made


def read_joined_delays(folder: Path) -> list[Any]:
    """The label of each prediction."""
    query = "SELECT t.value FROM predictions AS p LEFT JOIN truth AS t ON t.key = p.key ORDER BY p.id"
    with make_updated_index(folder).open() as db:
        return [value and json.loads(value)["arr_delay"] for (value,) in db.execute(query)]
