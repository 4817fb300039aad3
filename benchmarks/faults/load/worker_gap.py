"""Workers that hang or are killed: for how long nobody answers, and what a client that sends once more loses."""

import http.client
import itertools
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from benchmarks.faults.report import FaultReport
from problem.schema import EXAMPLE
from tests.helpers.models import faulty_bundles
from tests.helpers.servers import local_service

KILLS, SENDERS, SETTLE_SECONDS = 5, 4, 1.0
JSON_HEADERS = {"content-type": "application/json"}
RECORD = msgspec.json.encode(EXAMPLE)
HANGING = {**EXAMPLE, "temp": faulty_bundles.TRIGGER_TEMP, "dewp": faulty_bundles.TRIGGER_TEMP}
SETTINGS = {"shadow__enabled": False, "registry__tracking": ""}


def inject_faults() -> FaultReport:
    """Let a worker hang, kill the only worker, and kill one of two, each under load.

    Returns:
        Counts `worker_gap_s`, the longest time without an answer while the only worker was killed, `hang_gap_s`, that
        until the next answer after a record that hangs, alone or in a list, and `lost_after_retry`, the requests
        without an answer where one of two workers was killed.
    """
    hang, hang_in_list = _measure_hang(HANGING), _measure_hang([EXAMPLE, HANGING])
    one, two = _kill_workers(1), _kill_workers(2)
    rows = [
        ("a record that hangs", 2, 1, 0, f"{hang:.2f}"),
        ("one in a list that hangs", 2, 1, 0, f"{hang_in_list:.2f}"),
        ("the only worker killed", *one.describe()),
        ("one of two workers killed", *two.describe()),
    ]
    table = pl.DataFrame(rows, ["fault", "requests", "sent twice", "lost", "longest gap (s)"], orient="row")
    counts = {
        "worker_gap_s": round(one.longest_gap, 2),
        "hang_gap_s": round(max(hang, hang_in_list), 2),
        "lost_after_retry": two.lost,
    }
    return FaultReport(counts, table)


@dataclass
class RetryingLoad:
    """Requests one after the other, each sent once more on a new connection where its own ends without an answer."""

    port: int
    answered_at: list[float] = field(default_factory=list)
    retried: int = 0
    lost: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def longest_gap(self) -> float:
        """The longest time in which nobody was answered, in seconds."""
        times = sorted(self.answered_at)
        return max(after - before for before, after in itertools.pairwise(times))

    def describe(self) -> tuple[int, int, int, str]:
        """Return the cells of the table's row."""
        return len(self.answered_at), self.retried, self.lost, f"{self.longest_gap:.2f}"

    @contextmanager
    def run_in_background(self) -> Iterator[None]:
        """Send from a few threads within the block."""
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def wait_for_answer(self) -> None:
        """Wait for an answer after those that came up to now and may have been under way."""
        before = len(self.answered_at) + SENDERS
        local_service.wait_until(lambda: len(self.answered_at) > before, 60)

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self._stop.is_set():
            for attempt in range(2):
                try:
                    connection.request("POST", "/predict", RECORD, JSON_HEADERS)
                    connection.getresponse().read()
                    self.answered_at.append(time.monotonic())
                    break
                except (OSError, http.client.HTTPException):
                    connection.close()
                    self.retried += attempt == 0
                    self.lost += attempt == 1
            time.sleep(0.002)
        connection.close()


def _measure_hang(hanging: Any) -> float:
    """Return the seconds from a record or a list that hangs to the next answer."""
    with _start_service(1) as (_, http):
        began = time.monotonic()
        try:
            http.post("/predict", json=hanging, timeout=60)
        except Exception:
            http.post("/predict", json=EXAMPLE, timeout=60)
        return time.monotonic() - began


def _kill_workers(n_workers: int) -> RetryingLoad:
    """Kill the oldest of so many workers under load, several times."""
    with _start_service(n_workers) as (process, http):
        load = RetryingLoad(http.base_url.port)
        with load.run_in_background():
            for _ in range(KILLS):
                time.sleep(SETTLE_SECONDS)
                local_service.wait_until(lambda: len(local_service.find_workers(process.pid)) == n_workers)
                local_service.find_workers(process.pid)[0].kill()
                load.wait_for_answer()
            time.sleep(2 * SETTLE_SECONDS)
    return load


@contextmanager
def _start_service(n_workers: int) -> Iterator[Any]:
    """The service, whose live model hangs on some records; ready."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        faulty_bundles.make_faulty_bundle(state / "bundles/1", "burns")
        (state / "live").write_text("1")
        settings = {**SETTINGS, "service__workers": n_workers}
        with local_service.start_server(Path(name), **settings) as (process, http):
            local_service.wait_until(lambda: http.get("/readyz").status_code == 200, 60)
            yield process, http
