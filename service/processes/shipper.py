"""The shipper process: ships this replica's logs, says how far it has come, and fetches what people said elsewhere.

Where machines share their state. Whatever the store does, answers go on: what can't be shipped waits on the volume.
"""

import datetime as dt
import logging
import platform
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from penumbra.core.settings import Settings, load_settings
from penumbra.core.text.errors import describe_error
from penumbra.logs.archiving.shipping import renew_service_id
from penumbra.logs.lag import SHIP_METRICS_FILE
from penumbra.logs.replicas.heartbeats import ReplicaHeartbeat, save_replica_count
from penumbra.logs.replicas.log_shipping import ship_logs
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.logs.replicas.shared_logs import SharedLogs
from penumbra.logs.replicas.unshipped import UnshippedCounter, find_last_shipped, find_shipped_until
from penumbra.storage.atomic import replace_file
from penumbra.storage.shared.store_failures import StoreError
from service.processes.exposition import MetricSample, format_exposition
from service.processes.workers.process_control import log_to_stderr, make_running_check, sleep_while_running

HEARTBEAT_SECONDS = 15.0
STORE_PATIENCE_SECONDS = 5.0  # all is tried again, and a shipper without a parent ends soon
FETCHED_LOGS = ("reviews", "labels")  # an answer of another replica is fetched when it is asked for
WINDOW_LOGS = ("predictions", "labels")  # which are complete before a window is judged
SHIP_METRIC_HELP = {
    "heartbeat_seconds": "When the shipper was last at work, in seconds since 1970.",
    "lag_seconds": "How old the oldest segment is that isn't shipped to the other replicas.",
    "unshipped_rows": "How many entries of a log are on this replica's volume only.",
    "segments_total": "How many segments were shipped since the start.",
    "failures_total": "How many passes have failed since the start.",
    "failing": "1 while logs can't be shipped.",
}

logger = logging.getLogger("service.processes.shipper")


@dataclass
class LogShipper:
    """Ships the logs of one replica.

    Attributes:
        settings: The settings; `cluster.state` isn't "".
        logs: The logs.
        started: When this process was started (UTC).
        failing_since: Since when passes fail; None where they don't.
    """

    settings: Settings
    logs: SharedLogs
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    failing_since: dt.datetime | None = None
    _segments: int = 0
    _failures: int = 0
    _message: str = ""
    _fetch_due: float = 0.0
    _has_said: bool = False
    _copied_from: str = ""

    def __post_init__(self) -> None:
        self._counter, self._token = UnshippedCounter(self.logs.folders), secrets.token_hex(8)

    def run_pass(self) -> None:
        """Ship what is closed, say how far that has come, and fetch what is due; a failure is logged and counted."""
        messages: list[str] = []
        try:
            self._segments += ship_logs(self.logs, on_failure=lambda error: _note_failure(error, messages))
            self._part_from_copy()
            self.logs.heartbeats.write(self.make_heartbeat(dt.datetime.now(dt.UTC)))
            self._has_said = True
            self._fetch_if_due()
        except Exception as error:  # such as a store that is away: all of it is tried again
            messages.append(describe_error(error))
        self._report("; ".join(messages))
        try:
            self._write_metrics()
        except OSError as error:  # such as a full disk
            self._report(describe_error(error))

    def make_heartbeat(self, now: dt.datetime) -> ReplicaHeartbeat:
        """Return what this replica says of itself at the time `now` (UTC)."""
        last = {log: find_last_shipped(folder) for log, folder in self.logs.folders.items()}
        return ReplicaHeartbeat(
            replica=self.logs.replica,
            machine=platform.node(),
            started=self.started,
            seen=now,
            shipped_until=self._find_shipped_until(now),
            shipped={log: segment for log, segment in last.items() if segment},
            unshipped=self._counter.count(),
            failing_since=self.failing_since,
            token=self._token,
            copied_from=self._copied_from,
        )

    def end(self) -> None:
        """Take leave once all is shipped: nobody needs to wait for this replica; otherwise its heartbeat stays."""
        try:
            if not self.failing_since and not self._counter.count():
                self.logs.heartbeats.remove(self.logs.replica)
        except OSError as error:
            logger.error("the heartbeat of this replica stays: %s", describe_error(error))

    def _part_from_copy(self) -> None:
        """Take another id where somebody who is alive has the same one.

        Of two with one id one sees the other's heartbeat in place of its own first, and doesn't write there any more.
        """
        replica = self.logs.replica
        said = self.logs.heartbeats.read_one(replica) if self._has_said else None
        if said and said.token not in ("", self._token):
            renew_service_id(self.logs.folders["predictions"])
            self._copied_from, self._has_said = replica, False
            logger.error("replica %s is at work on %s, too: this one is %s", replica, said.machine, self.logs.replica)

    def _find_shipped_until(self, now: dt.datetime) -> dt.datetime:
        """An answer is logged by so much after it arrived as a request may take."""
        until = find_shipped_until([self.logs.folders[log] for log in WINDOW_LOGS], now)
        return until - dt.timedelta(seconds=self.settings.service.timeout_seconds)

    def _fetch_if_due(self) -> None:
        if time.monotonic() >= self._fetch_due:
            fetched = fetch_logs(self.settings, FETCHED_LOGS, patience=self.logs.patience)
            if fetched:
                save_replica_count(self.settings.service.predictions, fetched.coverage)
            for sentence in fetched.damaged if fetched else ():
                logger.error("%s", sentence)
            self._fetch_due = time.monotonic() + self.logs.ship_interval.total_seconds()

    def _report(self, message: str) -> None:
        if message and message != self._message:
            logger.error("logs can't be shipped, trying again: %s", message)
        if self._message and not message:
            logger.info("logs can be shipped again")
        self._failures += bool(message)
        self.failing_since = (self.failing_since or dt.datetime.now(dt.UTC)) if message else None
        self._message = message

    def _write_metrics(self) -> None:
        text = format_exposition("penumbra_ship_", SHIP_METRIC_HELP, [*self._list_samples()])
        folder = self.settings.service.predictions
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / SHIP_METRICS_FILE, text)

    def _list_samples(self) -> Iterator[MetricSample]:
        now, unshipped = dt.datetime.now(dt.UTC), self._counter.count()
        yield "heartbeat_seconds", {}, time.time()
        yield "lag_seconds", {}, (now - find_shipped_until([*self.logs.folders.values()], now)).total_seconds()
        for log in self.logs.folders:
            yield "unshipped_rows", {"log": log}, unshipped.get(log, 0)
        yield "segments_total", {}, self._segments
        yield "failures_total", {}, self._failures
        yield "failing", {}, float(self.failing_since is not None)


def run_shipper(shipper: LogShipper, running: Callable[[], bool]) -> None:
    """Ship at intervals, and once more at the end, when all who write have closed their segments.

    Args:
        shipper: What ships.
        running: Returns False when it is time to stop.
    """
    while running():
        shipper.run_pass()
        sleep_while_running(HEARTBEAT_SECONDS, running)
    shipper.run_pass()
    shipper.end()


def _note_failure(error: Exception, messages: list[str]) -> None:
    """Go on with other segments after what concerns one alone."""
    if isinstance(error, StoreError):
        raise error
    messages.append(describe_error(error))


def main() -> None:
    """Run the shipper until the parent process ends or SIGTERM arrives, which it gets once the others have ended."""
    log_to_stderr(logger)
    running, settings = make_running_check(), load_settings()
    if logs := SharedLogs.from_settings(settings, STORE_PATIENCE_SECONDS):
        run_shipper(LogShipper(settings, logs), running)


if __name__ == "__main__":
    main()
