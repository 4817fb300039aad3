"""The archiver, a process of its own: turns the closed segments of the logs into Parquet, ships and deletes them."""

import datetime as dt
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import problem.schema
from counts import watched
from problem.features import FEATURES
from service.background import log_to_stderr, sleep, until_told
from settings import Log, Settings, load
from stores import archive, lookup
from stores.answered import Answered
from stores.pointers import in_shadow
from stores.shadow import ROLES, last_state, newest
from stores.tables import Rows

POLL_SECONDS = 60.0

logger = logging.getLogger("service.archiver")


def archive_once(settings: Settings, now: dt.datetime) -> Iterator[str]:
    """Do what is due; give a sentence about each thing that was done. Raises what disks and archive raise."""
    predictions, shadow = settings.service.predictions, settings.service.shadow
    last = newest(shadow)
    rows = Answered(problem.schema, watched(FEATURES, problem.schema.TIME)).aligned
    yield from _archive(settings.log, predictions, now, archive.seal_closed(predictions), _needed(settings), rows)
    closed = archive.seal_closed(shadow, but=last)
    yield from _archive(settings.log, shadow, now, closed, lambda path: False)


def _archive(
    chosen: Log,
    folder: Path,
    now: dt.datetime,
    closed: Sequence[Path],
    needed: Callable[[Path], bool],
    rows: Rows | None = None,
) -> Iterator[str]:
    place = f"{chosen.archive.rstrip('/')}/{folder.name}" if chosen.archive else ""
    for path in archive.compact(folder, closed, now.date(), rows):
        yield f"{path.with_suffix(archive.TABLE)} is written"
    for address in archive.ship(folder, place) if place else ():
        yield f"{address} is shipped"
    for path in archive.delete_old(folder, place, now - dt.timedelta(days=chosen.keep_days), needed):
        yield f"{path} is deleted"


def _needed(settings: Settings) -> Callable[[Path], bool]:
    """A function that says whether the shadow or the index of labels has yet to read a segment to its end."""
    state = last_state(settings.service.shadow, repair=False)
    versions = [in_shadow(settings.service.state, role) for role in ROLES]
    models = [state.models[version] for version in versions if version in state.models]
    indexed = _indexed(settings.labels.folder)

    def needed(path: Path) -> bool:
        size = path.stat().st_size
        unscored = any(any(model.todo(path.stem, size)) for model in models)
        return unscored or indexed.get(f"predictions/{path.stem}", 0) < size

    return needed


def _indexed(labels: Path) -> dict[str, int]:
    try:
        return lookup.positions(labels)
    except sqlite3.Error:
        return {}


def follow(settings: Settings, running: Callable[[], bool]) -> None:
    """Archive again and again; a failure is told once and tried again."""
    said = ""
    while running():
        try:
            for sentence in archive_once(settings, dt.datetime.now(dt.UTC)):
                logger.info(sentence)
            said = ""
        except Exception as error:  # a full disk, an archive that is away, a damaged file: nothing is deleted then
            say = f"archiving the logs failed, trying again: {type(error).__name__}: {error}"
            if say != said:
                logger.error(say)
            said = say
        sleep(POLL_SECONDS, running)


def main() -> None:
    """Run until the parent process ends or SIGTERM comes."""
    log_to_stderr(logger)
    running = until_told()
    follow(load(), running)


if __name__ == "__main__":
    main()
