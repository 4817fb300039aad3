"""A server with a model in the shadow under load, and the checks that must hold whatever breaks in the shadow."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from penumbra.logs import append_log
from penumbra.registry.bundles import bundle
from problem import schema
from service.http.requests.record_reader import Contract
from tests.helpers.logs import local_shadow
from tests.helpers.models import faulty_bundles
from tests.helpers.servers import local_service
from tests.helpers.servers.http_load import HttpLoad

LIVE, CANDIDATE, PREVIOUS = "1", "2", "3"
ENOUGH, SOME, FIRST = 1000, 200, 10  # answers
LIMITS = {"shadow__timeout_seconds": 0.5, "shadow__memory_mb": 256, "shadow__batch_rows": 64, "shadow__niceness": 19}
RECORDS = [
    {**schema.EXAMPLE, "distance": 100 + 10 * n, **(local_shadow.TRIGGER_VALUES if n % 50 == 25 else {})}
    for n in range(100)
]
BODIES = [msgspec.json.encode(record) for record in RECORDS]
CONTRACT = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1)


class ShadowedServer:
    """A folder with a live model, and the server over it."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], http: Any) -> None:
        self.folder = folder
        self.process = process
        self.http = http
        live = bundle.read_bundle(folder / "state/bundles" / LIVE, local_service.PROBLEM, LIVE)
        self.expected = live.score(CONTRACT.to_frame([CONTRACT.parse_one(body) for body in BODIES])).tolist()

    def make_load(self, **more: Any) -> HttpLoad:
        return HttpLoad(self.http.base_url.port, BODIES, **more)

    def find_child(self, name: str) -> psutil.Process | None:
        """A process of the server whose command has this in it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
            return next(iter(local_service.find_processes(name, children)), None)
        return None

    def read_metric(self, name: str) -> float:
        lines = self.http.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


@contextlib.contextmanager
def start_shadowed_server(
    folder: Path, candidate: str = "", previous: bool = True, **settings: Any
) -> Iterator[ShadowedServer]:
    """The server with a live model, a candidate with this fault and a previous model; ready."""
    local_service.deploy_version(folder, LIVE, estimator=HistGradientBoostingClassifier(max_iter=50, random_state=1))
    local_shadow.point_role(folder, "candidate", CANDIDATE, candidate)
    if previous:
        local_shadow.point_role(folder, "previous", PREVIOUS)
    with local_service.start_server(folder, **{**LIMITS, **settings}) as (process, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, 60)
        yield ShadowedServer(folder, process, http)


def collect_answer_ids(server: ShadowedServer, load: HttpLoad, dropped: int = 0) -> list[str]:
    """Ids of the answers, none of which may be wrong; at most so many requests may have none."""
    assert len(load.answers) > 50
    assert {status for _, status, _ in load.answers} == {200}
    assert [answer["probability"] for _, _, answer in load.answers] == [server.expected[n] for n, _, _ in load.answers]
    assert load.dropped <= dropped
    return [answer["prediction_id"] for _, _, answer in load.answers if answer.get("logged", True)]


def check_logged_once(server: ShadowedServer, ids: list[str], more: int = 0) -> None:
    """Each id is in the log exactly once; besides them at most so many."""
    found = local_shadow.read_logged_ids(server.folder)
    assert len(set(found)) == len(found)
    assert set(ids) <= set(found)
    assert len(found) - len(ids) <= more


def wait_for_shadow_rows(server: ShadowedServer, version: str = CANDIDATE) -> dict[str, list[dict[str, Any]]]:
    """Once each logged prediction has exactly one row of this model: those of healthy rows, those of `bad` ones."""
    everything = set(local_shadow.read_logged_ids(server.folder))
    local_service.wait_until(lambda: set(local_shadow.read_rows_by_id(server.folder, version)) == everything, 240)
    found: dict[str, list[dict[str, Any]]] = {"good": [], "bad": []}
    rows = local_shadow.read_rows_by_id(server.folder, version)
    for line in append_log.read_entries(server.folder / "predictions"):
        found["bad" if line["record"]["temp"] == faulty_bundles.TRIGGER_TEMP else "good"].append(rows[line["id"]])
    return found


def collect_statuses(rows: list[dict[str, Any]]) -> set[str]:
    return {row["status"] for row in rows}


def check_isolation(server: ShadowedServer, load: HttpLoad, **more: int) -> None:
    """All that has to hold whatever was broken in the shadow."""
    check_logged_once(server, collect_answer_ids(server, load, **more))
    assert collect_statuses(
        [*wait_for_shadow_rows(server, PREVIOUS)["good"], *wait_for_shadow_rows(server, PREVIOUS)["bad"]]
    ) == {"ok"}
    assert all(row["status"] == "ok" or row["reason"] for rows in wait_for_shadow_rows(server).values() for row in rows)


@contextlib.contextmanager
def mount_small_filesystem(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A small file system of its own there, and a function that changes its options; skips where that can't be."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount a file system: {done.stderr.strip()}")
    try:
        yield lambda new: subprocess.run(["mount", "-o", f"remount,{new}", folder], check=True)  # type: ignore[func-returns-value]
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def check_answers_by_version(server: ShadowedServer, load: HttpLoad, versions: set[str]) -> None:
    """Every request was answered, as the version that the answer names answers it, and all of these versions were."""
    frame = CONTRACT.to_frame([CONTRACT.parse_one(body) for body in BODIES])
    bundles = {
        each: bundle.read_bundle(server.folder / "state/bundles" / each, local_service.PROBLEM, each)
        for each in versions
    }
    scores = {version: found.score(frame) for version, found in bundles.items()}
    assert load.dropped == 0
    assert {status for _, status, _ in load.answers} == {200}
    assert {answer["model_version"] for *_, answer in load.answers} == versions
    assert all(answer["probability"] == scores[answer["model_version"]][n] for n, _, answer in load.answers)
    check_logged_once(server, [answer["prediction_id"] for *_, answer in load.answers])


def measure_log_bytes(folder: Path) -> int:
    return sum(append_log.read_segment_sizes(folder).values())
