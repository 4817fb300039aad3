"""Predictions in a log, models in the shadow, and what the shadow log says of them, in a temporary folder."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from penumbra.logs import append_log
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.schema import PredictionEntry
from penumbra.logs.shadow import shadow_log
from penumbra.logs.shadow.shadow_log import ShadowLog
from penumbra.registry.bundles.bundle import read_bundle
from problem import schema
from service.http.requests.record_reader import Contract
from service.shadow.role_worker import ShadowRoleWorker
from tests.helpers.models import faulty_bundles
from tests.helpers.servers import local_service

RECORD_CONTRACT = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1)
TRIGGER_VALUES = {"temp": faulty_bundles.TRIGGER_TEMP, "dewp": faulty_bundles.TRIGGER_TEMP}


def make_record(distance: int, **changes: Any) -> dict[str, Any]:
    return RECORD_CONTRACT.parse_one(msgspec.json.encode({**schema.EXAMPLE, "distance": distance, **changes}))


def make_entry(
    distance: int, ago: float = 0.0, output: float = 0.5, decision: bool = True, **changes: Any
) -> PredictionEntry:
    """A prediction of so many seconds ago."""
    time = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago)
    return PredictionEntry(
        time, RECORD_CONTRACT.version, make_record(distance, **changes), [], output, decision, "1", 80
    )


def log_entries(folder: Path, *entries: PredictionEntry) -> list[str]:
    """To a new segment, which is then closed."""
    writer = LogWriter(folder / "predictions")
    ids = writer.append([encode_json(entry) for entry in entries])
    writer.close()
    return ids


def point_role(folder: Path, role: str, version: str, fault: str = "") -> None:
    """Put a model into the shadow, as the deployer does."""
    bundles = folder / "state/bundles"
    if not (bundles / version).exists():
        faulty_bundles.make_faulty_bundle(bundles / version, fault)
    (folder / "state" / role).write_text(version)


def compute_expected_scores(folder: Path, version: str, distances: Sequence[int]) -> list[float]:
    bundle = read_bundle(folder / "state/bundles" / version, local_service.PROBLEM, version)
    return bundle.score(RECORD_CONTRACT.to_frame([make_record(distance) for distance in distances])).tolist()


def read_shadow_rows(log: Path) -> Iterator[dict[str, Any]]:
    """The rows of the shadow log that count."""
    for path in append_log.list_segments(log):
        for line, _ in shadow_log.read_committed_lines(path):
            if shadow_log.is_shadow_row(line) and append_log.is_line_whole(line):
                yield append_log.decode_entry(line)


def read_rows_by_id(folder: Path, version: str) -> dict[str, dict[str, Any]]:
    """What the shadow log says of each prediction; fails where it says anything twice."""
    rows = [row for row in read_shadow_rows(folder / "shadow") if row["model"] == version]
    by_id = {row["prediction"]: row for row in rows}
    assert len(by_id) == len(rows), "a prediction is in the shadow log twice"
    return by_id


def read_logged_ids(folder: Path) -> list[str]:
    return [line["id"] for line in append_log.read_entries(folder / "predictions")]


@contextmanager
def start_role_worker(folder: Path, role: str = "candidate", **limits: Any) -> Iterator[ShadowRoleWorker]:
    """Run the worker of one shadow role in this process; its model runs in a process of its own."""
    settings = local_service.make_service_settings(folder)
    settings = settings.model_copy(update={"shadow": settings.shadow.model_copy(update=limits)})
    shadow_log_writer = ShadowLog(settings.service.shadow_log, settings.service.predictions)
    worker = ShadowRoleWorker(role, settings, shadow_log_writer)
    try:
        yield worker
    finally:
        worker.close()
        shadow_log_writer.close()


def step_until(worker: ShadowRoleWorker, until: Callable[[], object], seconds: float = 60) -> None:
    def stepped() -> object:
        worker.step()
        return until()

    local_service.wait_until(stepped, seconds)


def make_completion_check(worker: ShadowRoleWorker, folder: Path, version: str) -> Callable[[], bool]:
    """A function that says whether every logged prediction has its row."""
    return lambda: set(read_rows_by_id(folder, version)) == set(read_logged_ids(folder))
