"""The archive: closed segments of a log become Parquet by day, are shipped (see shipping.py), then deleted here.

| file                            | content                                                                          |
|---------------------------------|----------------------------------------------------------------------------------|
| <log>/<segment>.sha256          | the checksum of a closed segment (see penumbra/logs/segments.py)                 |
| <log>/days/<day>.<part>.parquet | its lines: `line` as it was logged, beside it the columns that are queried; of   |
|                                 | predictions also `row.…`, what profiles count (penumbra/logs/daily/frames.py)    |
| <log>/days/<day>.<part>.json    | which segments are in it, with their checksums, and where it was shipped; last   |

A day has several parts where it was large, or where a segment was closed late. Everything is verified by reading it
again: the lines of a segment in Parquet have the checksum of the segment, a shipped file that of the local one.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from penumbra.core.system.garbage import pause_garbage_collection
from penumbra.logs import append_log, segments
from penumbra.logs.archiving.archive_frames import RowReader, build_archive_frame, write_archive_frames
from penumbra.logs.archiving.archive_parts import (
    DAYS_FOLDER,
    FACTS_SUFFIX,
    TABLE_SUFFIX,
    ArchivedSegment,
    ArchivePart,
    DamagedArchive,
    FailureHandler,
    handle_failure,
    list_parts,
    raise_failure,
    read_part_day,
    write_part_facts,
)
from penumbra.logs.archiving.shipping import require_whole_copy
from penumbra.logs.log_pieces import iterate_lines
from penumbra.storage.atomic import write_aside
from penumbra.storage.locks import is_file_locked
from penumbra.storage.sealed import hash_file

MAX_PART_BYTES = 128 * append_log.BYTES_PER_MEGABYTE


def seal_closed_segments(
    folder: Path, but: Path | None = None, on_failure: FailureHandler = raise_failure
) -> list[Path]:
    """Write the checksums of all segments that were written here and that nobody writes any more.

    Args:
        folder: The log's folder.
        but: A segment to leave as it is.
        on_failure: Takes the error of a segment that can't be sealed, which is left out.

    Returns:
        The closed segments, oldest first.
    """
    found = [path for path, size in segments.read_own_segment_sizes(folder).items() if size and path != but]
    closed: list[Path] = []
    for path in found:
        with handle_failure(on_failure):
            if path.with_suffix(segments.SEAL_SUFFIX).exists() or not is_file_locked(path):
                segments.seal_segment(path)
                closed.append(path)
    return closed


@pause_garbage_collection()
def compact_segments(
    folder: Path,
    closed: Sequence[Path],
    today: dt.date,
    rows: RowReader | None = None,
    on_failure: FailureHandler = raise_failure,
) -> list[Path]:
    """Write Parquet files of the closed segments of each day before today that aren't archived yet.

    Args:
        folder: The log's folder.
        closed: Sealed segments.
        today: The day (UTC) from which on segments are left alone.
        rows: As in `build_archive_frame`; None for none.
        on_failure: Takes the error of a part that can't be written, such as DamagedArchive where it reads back
            differently.

    Returns:
        The paths of the new parts' facts.
    """
    compacted = {segment for _, part in list_parts(folder) for segment in part.segments}
    days: dict[dt.date, list[Path]] = {}
    for path in closed:
        if path.stem not in compacted and (day := segments.parse_start_time(path.stem).date()) < today:
            days.setdefault(day, []).append(path)
    written: list[Path] = []
    for day, paths in days.items():
        for some in _split_by_size(paths):
            with handle_failure(on_failure):
                written.append(_write_part(folder, day, some, rows))
    return written


def delete_archived_files(
    folder: Path,
    archive: str,
    before: dt.datetime,
    needed: Callable[[Path], bool] = lambda path: False,
    on_failure: FailureHandler = raise_failure,
) -> list[Path]:
    """Delete segments that are in Parquet, and Parquet files that are shipped once their segments are gone.

    Skips segments that a reader still needs, or whose part is damaged or, with an archive, not shipped yet; the copy in
    the archive is read again before anything of a part is deleted. A pass that was killed between two deletions is
    continued by the next one.

    Args:
        folder: The log's folder.
        archive: The archive; "" for none.
        before: Parts of this day (UTC) and later ones are kept.
        needed: Tells whether a reader still needs a segment, which exists.
        on_failure: Takes the error of a part whose files can't be deleted, such as DamagedArchive.

    Returns:
        The paths of the deleted files.
    """
    deleted: list[Path] = []
    for path, part in list_parts(folder):
        if read_part_day(path) < before.date() and (part.shipped or not archive):
            with handle_failure(on_failure):
                deleted += _delete_part_files(path, part, needed)
    return deleted


def _delete_part_files(path: Path, part: ArchivePart, needed: Callable[[Path], bool]) -> Iterator[Path]:
    """Delete the part's segments that nobody needs, then its table if it is shipped and no segment is left."""
    folder, table = path.parent.parent, path.with_suffix(TABLE_SUFFIX)
    files = [folder / (name + append_log.SEGMENT_SUFFIX) for name in part.segments]
    here = [file for file in files if file.exists()]
    if table.exists() and hash_file(table) != part.sha256:
        raise DamagedArchive(f"{table} is not what was written: the segments in it are kept")
    if here and not table.exists() and not part.shipped:
        raise DamagedArchive(f"{table} is gone and wasn't shipped: the segments in it are kept")
    kept = [file for file in here if needed(file)]
    if part.shipped and (len(kept) < len(here) or (table.exists() and not kept)):
        require_whole_copy(path, part)
    for file in files:
        if file not in kept:
            segments.remove_segment(file)
        if file in here and file not in kept:
            yield file
    if part.shipped and table.exists() and not kept:
        table.unlink()
        yield table


def _write_part(folder: Path, day: dt.date, paths: Sequence[Path], rows: RowReader | None) -> Path:
    (folder / DAYS_FOLDER).mkdir(exist_ok=True)
    number = sum(1 for _ in (folder / DAYS_FOLDER).glob(f"{day}.*{FACTS_SUFFIX}"))
    table = folder / DAYS_FOLDER / f"{day}.{number:03}{TABLE_SUFFIX}"
    archived, frames = {}, list[Any]()
    for path in paths:
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            raise DamagedArchive(f"{path} ends within a line, though it was sealed: it isn't archived")
        pieces = [build_archive_frame(lines, rows) for lines in iterate_lines(content)]
        height = sum(piece.height for piece in pieces)
        archived[path.stem] = ArchivedSegment(segments.seal_changed_segment(path, content), height)
        frames += pieces
    with write_aside(table) as aside:
        write_archive_frames(frames or [build_archive_frame([], rows)], aside)
        part = ArchivePart(archived, hash_file(aside))
    facts = table.with_suffix(FACTS_SUFFIX)
    write_part_facts(facts, part)
    return facts


def _split_by_size(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The segments in lists that together are not too large."""
    portion: list[Path] = []
    size = 0
    for path in paths:
        if portion and size + path.stat().st_size > MAX_PART_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(path)
        size += path.stat().st_size
    yield portion
