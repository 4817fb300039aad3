"""The archiver, a process of its own: turns the closed segments of the logs into Parquet, ships and deletes them."""

import datetime as dt
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import problem.schema
from penumbra.core.histograms import list_profiled_columns
from penumbra.core.settings import LogSettings, Settings, load_settings
from penumbra.logs import archive
from penumbra.logs.archive_rows import RowReader
from penumbra.logs.frames import LogFrameReader
from penumbra.logs.queries import lookup
from penumbra.logs.shadow_log import SHADOW_ROLES, find_newest_segment, load_shadow_state
from penumbra.registry.pointers import find_shadow_version
from problem.features import FEATURES
from service.processes.process_control import log_to_stderr, make_running_check, sleep_while_running

ARCHIVE_POLL_SECONDS = 60.0

logger = logging.getLogger("service.processes.archiver")


def archive_due_segments(settings: Settings, now: dt.datetime) -> Iterator[str]:
    """Do what is due; give a sentence about each thing that was done. Raises what disks and archive raise."""
    predictions, shadow = settings.service.predictions, settings.service.shadow_log
    last = find_newest_segment(shadow)
    rows = LogFrameReader(problem.schema, list_profiled_columns(FEATURES, problem.schema.TIME)).read_aligned
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
    place = f"{settings.archive.rstrip('/')}/{folder.name}" if settings.archive else ""
    for path in archive.compact_segments(folder, closed, now.date(), rows):
        yield f"{path.with_suffix(archive.TABLE_SUFFIX)} is written"
    for address in archive.ship_parts(folder, place) if place else ():
        yield f"{address} is shipped"
    for path in archive.delete_archived_files(folder, place, now - dt.timedelta(days=settings.keep_days), needed):
        yield f"{path} is deleted"


def _make_needed_check(settings: Settings) -> Callable[[Path], bool]:
    """A function that says whether the shadow or the index of labels has yet to read a segment to its end."""
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


def run_archiver(settings: Settings, running: Callable[[], bool]) -> None:
    """Archive again and again; a failure is told once and tried again."""
    said = ""
    while running():
        try:
            for sentence in archive_due_segments(settings, dt.datetime.now(dt.UTC)):
                logger.info(sentence)
            said = ""
        except Exception as error:  # a full disk, an archive that is away, a damaged file: nothing is deleted then
            say = f"archiving the logs failed, trying again: {type(error).__name__}: {error}"
            if say != said:
                logger.error(say)
            said = say
        sleep_while_running(ARCHIVE_POLL_SECONDS, running)


def main() -> None:
    """Run until the parent process ends or SIGTERM comes."""
    log_to_stderr(logger)
    running = make_running_check()
    run_archiver(load_settings(), running)


if __name__ == "__main__":
    main()
