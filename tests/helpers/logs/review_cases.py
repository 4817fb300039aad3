"""Predictions that were picked for review, and what people do with them, in a temporary folder."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from penumbra.core.settings import Settings
from penumbra.logs import append_log
from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.records import ActionKind, ReviewAction, ReviewBlock, ReviewCase
from problem import schema
from tests.helpers.logs import prediction_logs
from tests.helpers.servers.local_service import make_service_settings

PROBLEM: Any = SimpleNamespace(schema=schema)
MONDAY = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def make_moment(minutes: float) -> dt.datetime:
    return MONDAY + dt.timedelta(minutes=minutes)


def make_review_settings(folder: Path, **review: Any) -> Settings:
    settings = make_service_settings(folder)
    return settings.model_copy(update={"review": settings.review.model_copy(update=review)})


def pick_predictions(
    folder: Path, flights: int = 1, reviewers: int = 1, said: Mapping[str, Any] | None = None, **case: Any
) -> list[str]:
    """Log a prediction for each of so many flights, with what is `said` of it, and pick all of them; their ids."""
    made = map(prediction_logs.make_prediction, range(1, flights + 1))
    names = prediction_logs.log_predictions(folder, *(msgspec.structs.replace(each, **(said or {})) for each in made))
    cases = [ReviewCase(name, ["close call"], 0.25, reviewers, **case) for name in names]
    block = ReviewBlock(MONDAY, {}, flights, flights, flights, {"close call": flights})
    prediction_logs.append_to_new_segment(folder / "reviews", [*cases, block])
    return names


def make_action(
    case: str,
    reviewer: str = "ann",
    minutes: int | None = None,
    kind: ActionKind = "answer",
    at: float = 1,
    **fields: Any,
) -> ReviewAction:
    """An action of a reviewer; an answer says by how many minutes the flight arrived late."""
    label = {"arr_delay": minutes} if kind in ("answer", "adjudicate") else {}
    return ReviewAction(case, reviewer, kind, make_moment(at), label, **fields)


@contextmanager
def open_desk(folder: Path) -> Iterator[ReviewDesk]:
    with closing(ReviewDesk(make_review_settings(folder), PROBLEM)) as desk:
        yield desk


def read_review_labels(folder: Path) -> list[dict[str, Any]]:
    """The labels that people gave, in the order of the log, without ids and times."""
    entries = append_log.read_entries(folder / "labels")
    return [{key: entry[key] for key in entry if key not in ("id", "time")} for entry in entries]
