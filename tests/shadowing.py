"""Predictions in a log, models in the shadow, and what the shadow log says of them, in a temporary folder."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from problem import features, schema
from service.follower import Follower
from service.messages import Contract
from stores import log, shadow
from stores.bundle import read
from stores.log import Writer, encode
from stores.predictions import Entry
from stores.shadow import ShadowLog
from tests import faulty, serving

CONTRACT = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1)
TRIGGER = {"temp": faulty.TRIGGER, "dewp": faulty.TRIGGER}


def record(distance: int, **changes: Any) -> dict[str, Any]:
    return CONTRACT.one(msgspec.json.encode({**schema.EXAMPLE, "distance": distance, **changes}))


def entry(distance: int, ago: float = 0.0, output: float = 0.5, decision: bool = True, **changes: Any) -> Entry:
    """A prediction of so many seconds ago."""
    time = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago)
    return Entry(time, CONTRACT.version, record(distance, **changes), [], output, decision, "1", 80)


def predict(folder: Path, *entries: Entry) -> list[str]:
    """To a new segment, which is then closed."""
    writer = Writer(folder / "predictions")
    ids = writer.append([encode(each) for each in entries])
    writer.close()
    return ids


def point(folder: Path, role: str, version: str, fault: str = "") -> None:
    """Put a model into the shadow, as the deployer does."""
    bundles = folder / "state/bundles"
    if not (bundles / version).exists():
        faulty.make_bundle(bundles / version, fault)
    (folder / "state" / role).write_text(version)


def expected(folder: Path, version: str, distances: Sequence[int]) -> list[float]:
    bundle = read(folder / "state/bundles" / version, features.FEATURES, version)
    return bundle.score(CONTRACT.frame([record(distance) for distance in distances])).tolist()


def rows(folder: Path, version: str) -> dict[str, dict[str, Any]]:
    """What the shadow log says of each prediction; fails where it says anything twice."""
    found = [row for row in shadow.read(folder / "shadow") if row["model"] == version]
    by_id = {row["prediction"]: row for row in found}
    assert len(by_id) == len(found), "a prediction is in the shadow log twice"
    return by_id


def logged(folder: Path) -> list[str]:
    return [line["id"] for line in log.read(folder / "predictions")]


@contextmanager
def follower(folder: Path, role: str = "candidate", **limits: Any) -> Iterator[Follower]:
    """One place of the shadow in this process; its model runs in a process of its own."""
    settings = serving.settings(folder)
    chosen = settings.model_copy(update={"shadow": settings.shadow.model_copy(update=limits)})
    written = ShadowLog(chosen.service.shadow, chosen.service.predictions)
    made = Follower(role, chosen, written)
    try:
        yield made
    finally:
        made.close()
        written.close()


def run(made: Follower, until: Callable[[], object], seconds: float = 60) -> None:
    def stepped() -> object:
        made.step()
        return until()

    serving.wait_for(stepped, seconds)


def settled(made: Follower, folder: Path, version: str) -> Callable[[], bool]:
    """A function that says whether every logged prediction has its row."""
    return lambda: set(rows(folder, version)) == set(logged(folder))
