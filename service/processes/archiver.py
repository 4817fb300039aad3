"""The archiver process: turns closed log segments into Parquet, ships them to the archive, and deletes old files."""

import datetime as dt
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings, load_settings
from penumbra.core.text.errors import describe_error
from penumbra.logs.archiving import archive, archive_parts
from penumbra.logs.archiving.archive_frames import RowReader
from penumbra.logs.archiving.archive_health import save_archive_health
from penumbra.logs.archiving.archive_parts import FailureHandler, raise_failure
from penumbra.logs.archiving.shipping import ship_parts
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.lag import ARCHIVE_METRICS_FILE, measure_archive_lag, measure_folder_bytes
from penumbra.logs.queries import lookup
from penumbra.logs.replicas.log_shipping import delete_archived_copies
from penumbra.logs.replicas.shared_logs import SharedLogs, find_archive
from penumbra.logs.segments import delete_fetched_segments, is_segment_shipped
from penumbra.logs.shadow.shadow_log import find_newest_segment, read_shadow_state
from penumbra.registry.pointers import read_shadow_versions
from penumbra.reviews.queue import ReviewQueue
from penumbra.storage.atomic import replace_file
from penumbra.storage.work_lock import hold_pass_lock
from service.processes.exposition import MetricSample, format_exposition
from service.processes.workers.process_control import log_to_stderr, make_running_check, sleep_while_running

ARCHIVE_POLL_SECONDS = 60.0
ARCHIVE_METRIC_HELP = {
    "lag_seconds": "How long ago the oldest day ended that isn't whole in Parquet, or not shipped.",
    "lag_rows": "How many lines of such days wait, estimated from their bytes.",
    "log_bytes": "Bytes of a log on this disk, with its Parquet files.",
    "free_bytes": "Bytes that are free on the disk of the prediction log.",
}

logger = logging.getLogger("service.processes.archiver")


def archive_due_segments(
    settings: Settings, problem: Problem, now: dt.datetime, on_failure: FailureHandler = raise_failure
) -> Iterator[str]:
    """Compact, ship and delete what is due in the prediction log and the shadow log, and in a shared label log.

    Each replica archives what was written to its own volume, in parts of its own.

    Args:
        settings: Folders of the logs, `log.archive`, `log.keep_days` and `cluster.state`.
        problem: The problem, with its schema.
        now: The current time, with a time zone.
        on_failure: Takes the error of a segment, a part or a log; the others are gone on with. A disk or a local
            archive fails with OSError, a remote archive may have errors of its own.

    Yields:
        A sentence about each thing that was done.

    Raises:
        PassInProgress: Another archiver works on the same logs.
    """
    predictions, shadow = settings.service.predictions, settings.service.shadow_log
    rows, logs = LogFrameReader(problem.schema).read_archived, SharedLogs.from_settings(settings)
    with hold_pass_lock(predictions, "archive"):
        needed, is_unshipped = _make_needed_check(settings), _make_unshipped_check(settings)
        archived = [_ArchivedLog("predictions", predictions, None, needed, rows)]
        archived.append(_ArchivedLog("shadow", shadow, find_newest_segment(shadow), is_unshipped))
        if logs:  # a reader that begins anew takes what is old from there; of labels nothing is deleted here
            archived.append(_ArchivedLog("labels", settings.labels.folder, None, lambda path: True))
        for log in archived:
            yield from _archive_log(settings, log, logs, now, on_failure)


@dataclass(frozen=True)
class _ArchivedLog:
    """A log: its folder, a segment to leave alone, which segments are needed, and how its lines become columns."""

    name: str
    folder: Path
    but: Path | None
    needed: Callable[[Path], bool]
    rows: RowReader | None = None


def _archive_log(
    settings: Settings, log: _ArchivedLog, logs: SharedLogs | None, now: dt.datetime, failed: FailureHandler
) -> Iterator[str]:
    place, before = find_archive(settings).rstrip("/"), now - dt.timedelta(days=settings.log.keep_days)
    destination = f"{place}/{log.folder.name}" if place else ""
    try:
        closed = archive.seal_closed_segments(log.folder, log.but, failed)
        for path in archive.compact_segments(log.folder, closed, now.date(), log.rows, failed):
            yield f"{path.with_suffix(archive_parts.TABLE_SUFFIX)} is written"
        for address in ship_parts(log.folder, destination, failed) if destination else ():
            yield f"{address} is shipped"
        if logs and (count := delete_archived_copies(logs, log.name)):
            yield f"{count} segments of {log.folder} are whole in the archive: their copies are deleted"
        for path in archive.delete_archived_files(log.folder, destination, before, log.needed, failed):
            yield f"{path} is deleted"
        for path in delete_fetched_segments(log.folder, before) if log.name != "labels" else ():
            yield f"{path} of another replica is deleted here"
    except Exception as error:  # such as a part's facts that can't be read: the other log goes on
        failed(error)


def _make_needed_check(settings: Settings) -> Callable[[Path], bool]:
    """Return a function that tells whether shadow, label index or review queue has yet to read a segment to its end."""
    state = read_shadow_state(settings.service.shadow_log)
    versions = read_shadow_versions(settings.service.state).values()
    models = [state.models[version] for version in versions if version in state.models]
    indexed = _read_indexed_positions(settings.labels.folder)
    drawn, is_unshipped = ReviewQueue.read(settings.review.folder).taken, _make_unshipped_check(settings)

    def needed(path: Path) -> bool:
        size = path.stat().st_size
        unscored = any(any(model.split_unscored(path.stem, size)) for model in models)
        undrawn = bool(drawn) and settings.review.per_day > 0 and drawn.get(path.stem, 0) < size
        return is_unshipped(path) or unscored or undrawn or indexed.get(f"predictions/{path.stem}", 0) < size

    return needed


def _make_unshipped_check(settings: Settings) -> Callable[[Path], bool]:
    """Return a function that tells whether the other replicas have yet to be given a segment."""
    return lambda path: bool(settings.cluster.state) and not is_segment_shipped(path)


def _read_indexed_positions(labels: Path) -> dict[str, int]:
    try:
        return lookup.read_indexed_positions(labels)
    except sqlite3.Error:
        return {}


def run_archiver(settings: Settings, problem: Problem, running: Callable[[], bool]) -> None:
    """Archive once a minute; log a failure once, leave it for metrics and monitor, and try again.

    Args:
        settings: As for `archive_due_segments`.
        problem: The problem, with its schema.
        running: Returns False when it is time to stop.
    """
    logged: list[str] = []
    while running():
        failures = [describe_error(error) for error in _run_pass(settings, problem)]
        for failure in failures:
            if failure not in logged:
                logger.error("archiving the logs failed in part, trying again: %s", failure)
        logged = failures
        sleep_while_running(ARCHIVE_POLL_SECONDS, running)


def _run_pass(settings: Settings, problem: Problem) -> list[Exception]:
    """Archive what is due and leave the outcome in a file; return what failed."""
    failures: list[Exception] = []
    try:
        for sentence in archive_due_segments(settings, problem, dt.datetime.now(dt.UTC), failures.append):
            logger.info(sentence)
    except Exception as error:  # such as a folder that can't be written, or another archiver
        failures.append(error)
    try:
        found = [describe_error(error) for error in failures]
        save_archive_health(settings.service.predictions, found, dt.datetime.now(dt.UTC))
        write_archive_metrics(settings, dt.datetime.now(dt.UTC))
    except Exception as error:  # such as a full disk, or a part whose facts can't be read
        failures.append(error)
    return failures


def write_archive_metrics(settings: Settings, now: dt.datetime) -> None:
    """Replace the metrics file of the archiver.

    Args:
        settings: The folders of the logs, and the address of the archive.
        now: The current time, with a time zone.

    Raises:
        OSError: The file can't be written.
    """
    samples = [*_list_archive_samples(settings, now)]
    text = format_exposition("penumbra_archive_", ARCHIVE_METRIC_HELP, samples)
    replace_file(settings.service.predictions / ARCHIVE_METRICS_FILE, text)


def _list_archive_samples(settings: Settings, now: dt.datetime) -> Iterator[MetricSample]:
    predictions, lag = settings.service.predictions, measure_archive_lag(settings, now)
    yield "lag_seconds", {}, lag.count_seconds(now)
    yield "lag_rows", {}, lag.rows
    for folder in (predictions, settings.service.shadow_log, settings.labels.folder):
        yield "log_bytes", {"log": folder.name}, measure_folder_bytes(folder)
    yield "free_bytes", {}, shutil.disk_usage(predictions).free


def main() -> None:
    """Run the archiver until the parent process ends or SIGTERM arrives."""
    log_to_stderr(logger)
    running = make_running_check()
    run_archiver(load_settings(), load_problem(SERVED_PARTS), running)


if __name__ == "__main__":
    main()
