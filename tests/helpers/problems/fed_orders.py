"""Orders of May 2024 that the service answered and that were labelled, beside the source's months before."""

import datetime as dt
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from flows.steps.flywheel.batch_making import feed_back_labels
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.data.batches import DataStore
from penumbra.data.flywheel_manifest import FlywheelManifest, read_manifest_file
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.schema import LabelEntry, PredictionEntry
from penumbra.reviews.records import ReviewBlock, ReviewCase
from tests.helpers.logs.prediction_logs import append_to_new_segment
from tests.helpers.models import training_runs
from tests.helpers.problems.orders import Replacements, load_orders

BATCH, NEXT = "2024-04+flywheel-2024-06-01", "2024-04+flywheel-2024-07-01"  # of May, and of June
MAY = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
REFUSED_LOANS = [("", '"""Rules."""\n\nRULES = ()\nOBSERVED_DECISIONS = (False,)\n')]
"""A file rules.py: of orders that are decided True, nobody learns the outcome."""


def open_fed_project(
    folder: Path, today: str = "2024-06-02", settings: dict[str, str] | None = None, **changes: Replacements
) -> tuple[Settings, Problem]:
    """The orders of January to April in the data store, on a day on which May's labels are mature."""
    problem, admitted = _admit_orders(tuple((name, tuple(pairs)) for name, pairs in changes.items()))
    shutil.copytree(admitted.name, folder, dirs_exist_ok=True)
    given = {"data__today": today, "flywheel__period": "month", "labels__delay_hours": "24", **(settings or {})}
    return training_runs.make_run_settings(folder, problem, **given), problem


@functools.cache
def _admit_orders(
    changes: tuple[tuple[str, tuple[tuple[str, str], ...]], ...],
) -> tuple[Problem, "tempfile.TemporaryDirectory[str]"]:
    """The loaded problem and the folder with its files and admitted batches, which most tests take: they get copies."""
    made = tempfile.TemporaryDirectory(prefix="penumbra-orders-")
    problem = load_orders(Path(made.name), source=training_runs.FEW_ROWS, **dict(changes))
    training_runs.admit_batches(Path(made.name), problem)
    return problem, made


def log_order(folder: Path, number: int, day: int = 1, decision: bool | str = False, **changes: Any) -> str:
    """Log an answer to order `number` on a day of May; return its id."""
    time = MAY + dt.timedelta(days=day - 1)
    at = time.replace(tzinfo=None).isoformat()
    record = {"order_id": number, "at": at, "region": "west", "amount": 20.0 + number % 7, "age": 40, "member": True}
    marks = {name: changes.pop(name) for name in ("explored", "explore_share") if name in changes}
    output = changes.pop("output", 0.3)
    answer = PredictionEntry(time, "contract", {**record, **changes}, [], output, decision, "3", 80, **marks)
    return append_to_new_segment(folder / "predictions", [answer])[0]


def log_outcome(folder: Path, number: int, churned: bool | None, day: int = 2, source: str = "feedback") -> None:
    """Log what was reported of an order on a day of May."""
    label = LabelEntry(MAY + dt.timedelta(days=day - 1), source, {"churned": churned}, [number])
    append_to_new_segment(folder / "labels", [label])


def log_answer(folder: Path, prediction: str, churned: bool, probability: float = 0.25, **fields: Any) -> None:
    """Log what people said of a prediction that was picked for them with a chance."""
    given = {"reviewers": ["ann"], "sureness": "sure", **fields}
    label = LabelEntry(
        MAY + dt.timedelta(days=given.pop("day", 2) - 1),
        given.pop("source", "review"),
        {"churned": churned},
        prediction=prediction,
        probability=probability,
        **given,
    )
    append_to_new_segment(folder / "labels", [label])


def take_back_answer(folder: Path, prediction: str, day: int = 35) -> None:
    """Log on a day since May 1 that people took back what they said of a prediction."""
    label = LabelEntry(MAY + dt.timedelta(days=day - 1), "review", {}, prediction=prediction)
    append_to_new_segment(folder / "labels", [label])


def pick_order(folder: Path, prediction: str, probability: float = 0.25) -> None:
    """Log that a prediction was picked for people with a chance."""
    case = ReviewCase(prediction, ["chance"], probability)
    append_to_new_segment(folder / "reviews", [case, ReviewBlock(MAY, {}, 1, 1, 1, {"chance": 1})])


def feed(settings: Settings, problem: Problem, wanted: str = "") -> list[str]:
    """Make the batches that are due."""
    return feed_back_labels(settings, lambda: problem, wanted)


def open_store(settings: Settings, problem: Problem) -> DataStore:
    return DataStore(settings.data, problem)


def open_index(settings: Settings, problem: Problem) -> LogIndex:
    return LogIndex.from_settings(settings, problem.schema)


def on_day(settings: Settings, today: str) -> Settings:
    """The settings on another day."""
    return settings.model_copy(
        update={"data": settings.data.model_copy(update={"today": dt.date.fromisoformat(today)})}
    )


def read_manifest(store: DataStore, batch: str = BATCH) -> FlywheelManifest:
    """Read what a flywheel batch was made of."""
    return read_manifest_file(store.read_raw_files(batch))
