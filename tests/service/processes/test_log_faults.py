"""A running service loses no label and no prediction that it has acknowledged, whatever happens to its logs."""

import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from penumbra.logs import append_log
from problem.schema import EXAMPLE, OUTCOME
from tests.helpers.servers import local_service

COUNT = 300
LABELS = [{"prediction_id": "0" * 17 + "-0", **OUTCOME}] * COUNT
LOGS = ("predictions", "labels")

pytestmark = pytest.mark.slow


class FaultyLogs:
    """A running server, and the ids of what it has acknowledged."""

    def __init__(self, folder: Path, process: Any, http: Any) -> None:
        self.folder = folder
        self.process = process
        self.http = http
        self.acknowledged: dict[str, set[str]] = {log: set() for log in LOGS}

    def fill_logs(self) -> dict[str, set[str]]:
        """The ids of what was acknowledged, by log; all of it is in `acknowledged`."""
        answers, labels = self.http.post("/predict", json=[EXAMPLE] * COUNT), self.http.post("/feedback", json=LABELS)
        filled = {
            "predictions": {answer["prediction_id"] for answer in answers.json()},
            "labels": {label["label_id"] for label in labels.json()},
        }
        self.acknowledged = {log: self.acknowledged[log] | filled[log] for log in LOGS}
        return filled

    def delete_logs(self) -> None:
        for log in LOGS:
            shutil.rmtree(self.folder / log, ignore_errors=True)

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            try:
                return bool(self.http.get("/readyz").status_code == 200)
            except httpx.TransportError:
                return False

        local_service.wait_until(is_ready, 60)

    def find_worker(self) -> psutil.Process:
        (worker,) = local_service.find_workers(self.process.pid)
        return worker

    def read_ids(self) -> dict[str, set[str]]:
        return {log: {entry["id"] for entry in append_log.read_entries(self.folder / log)} for log in LOGS}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyLogs]:
    folder = tmp_path_factory.mktemp("log-faults")
    local_service.deploy_version(folder, "1")
    with local_service.start_server(folder) as (process, http):
        faulty = FaultyLogs(folder, process, http)
        faulty.wait_until_ready()
        yield faulty


def test_what_was_deleted_is_there_again_before_a_worker_is_killed(server: FaultyLogs) -> None:
    server.fill_logs()
    server.delete_logs()
    local_service.wait_until(lambda: server.read_ids() == server.acknowledged)
    server.find_worker().kill()
    server.wait_until_ready()
    assert server.read_ids() == server.acknowledged


def test_a_full_disk_is_owned_up_to_and_nothing_is_acknowledged_that_isnt_kept(server: FaultyLogs) -> None:
    server.fill_logs()
    size = min(max(append_log.read_segment_sizes(server.folder / log).values()) for log in LOGS)
    worker = server.find_worker()
    worker.rlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    label, answers = server.http.post("/feedback", json=LABELS), server.http.post("/predict", json=[EXAMPLE] * COUNT)
    assert (label.status_code, label.headers["retry-after"]) == (503, "5")
    assert {answer["logged"] for answer in answers.json()} == {False}
    failures = [
        line for line in server.http.get("/metrics").text.splitlines() if "penumbra_log_failures_total{" in line
    ]
    assert sorted(line.rpartition("penumbra_log_failures_total")[2] for line in failures) == [
        f'{{log="label log"}} {COUNT}.0',
        f'{{log="prediction log"}} {COUNT}.0',
    ]
    worker.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    server.wait_until_ready()
    server.fill_logs()
    assert server.read_ids() == server.acknowledged


def test_what_was_deleted_right_before_sigterm_is_kept(server: FaultyLogs) -> None:
    """All of the segments that are open: those that a worker has closed are gone with their folder."""
    filled = server.fill_logs()
    server.delete_logs()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    kept = server.read_ids()
    assert {log: filled[log] - kept[log] for log in LOGS} == {log: set() for log in LOGS}
