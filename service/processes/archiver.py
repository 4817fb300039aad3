"""The archiver process: turns closed log segments into Parquet, ships them to the archive, and deletes old files."""

import datetime as dt
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from penumbra.core.problem import Problem
from penumbra.core.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.settings import LogSettings, Settings, load_settings
from penumbra.logs import archive, archive_parts
from penumbra.logs.archive_parts import RowReader
from penumbra.logs.frames import LogFrameReader
from penumbra.logs.queries import lookup
from penumbra.logs.shadow_log import SHADOW_ROLES, find_newest_segment, load_shadow_state
from penumbra.registry.pointers import find_shadow_version
from service.processes.process_control import log_to_stderr, make_running_check, sleep_while_running

ARCHIVE_POLL_SECONDS = 60.0

logger = logging.getLogger("service.processes.archiver")


def archive_due_segments(settings: Settings, problem: Problem, now: dt.datetime) -> Iterator[str]:
    """Compact, ship and delete what is due in the prediction log and the shadow log.

    Args:
        settings: Folders of the logs, `log.archive` and `log.keep_days`.
        problem: The problem, with its schema.
        now: The current time, with a time zone.

    Yields:
        A sentence about each thing that was done.

    Raises:
        OSError: A disk or a local archive fails. A remote archive may raise errors of its own.
    """
    predictions, shadow = settings.service.predictions, settings.service.shadow_log
    last = find_newest_segment(shadow)
    rows = LogFrameReader(problem.schema).read_aligned
    yield from _archive_log(
        settings.log, predictions, now, archive.seal_closed_segments(predictions), _make_needed_check(settings), rows
    )
    closed = archive.seal_closed_segments(shadow, but=last)
    yield from _archive_log(settings.log, shadow, now, closed, lambda path: False)


def _archive_log(
    settings: LogSettings,
    folder: Path,
    now: dt.datetime,
    closed: Sequence[Path],
    needed: Callable[[Path], bool],
    rows: RowReader | None = None,
) -> Iterator[str]:
    destination = f"{settings.archive.rstrip('/')}/{folder.name}" if settings.archive else ""
    for path in archive.compact_segments(folder, closed, now.date(), rows):
        yield f"{path.with_suffix(archive_parts.TABLE_SUFFIX)} is written"
    for address in archive.ship_parts(folder, destination) if destination else ():
        yield f"{address} is shipped"
    for path in archive.delete_archived_files(folder, destination, now - dt.timedelta(days=settings.keep_days), needed):
        yield f"{path} is deleted"


def _make_needed_check(settings: Settings) -> Callable[[Path], bool]:
    """Return a function that tells whether the shadow or the label index has yet to read a segment to its end."""
    state = load_shadow_state(settings.service.shadow_log, repair=False)
    versions = [find_shadow_version(settings.service.state, role) for role in SHADOW_ROLES]
    models = [state.models[version] for version in versions if version in state.models]
    indexed = _read_indexed_positions(settings.labels.folder)

    def needed(path: Path) -> bool:
        size = path.stat().st_size
        unscored = any(any(model.split_unscored(path.stem, size)) for model in models)
        return unscored or indexed.get(f"predictions/{path.stem}", 0) < size

    return needed


def _read_indexed_positions(labels: Path) -> dict[str, int]:
    try:
        return lookup.read_indexed_positions(labels)
    except sqlite3.Error:
        return {}


def run_archiver(settings: Settings, problem: Problem, running: Callable[[], bool]) -> None:
    """Archive once a minute; log a failure once, and try again.

    Args:
        settings: As for `archive_due_segments`.
        problem: The problem, with its schema.
        running: Returns False when it is time to stop.
    """
    last_message = ""
    while running():
        try:
            for sentence in archive_due_segments(settings, problem, dt.datetime.now(dt.UTC)):
                logger.info(sentence)
            last_message = ""
        except Exception as error:  # such as a full disk, an unreachable archive, a damaged file: nothing is deleted
            message = f"archiving the logs failed, trying again: {type(error).__name__}: {error}"
            if message != last_message:
                logger.error(message)
            last_message = message
        sleep_while_running(ARCHIVE_POLL_SECONDS, running)


def main() -> None:
    """Run the archiver until the parent process ends or SIGTERM arrives."""
    log_to_stderr(logger)
    running = make_running_check()
    run_archiver(load_settings(), load_problem(SERVED_PARTS), running)


if __name__ == "__main__":
    main()
