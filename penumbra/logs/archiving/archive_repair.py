"""Repair of a log's archive: damaged tables are made again from segments, or fetched from where they were shipped."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import fsspec

from penumbra.logs import append_log
from penumbra.logs.archiving.archive_parts import TABLE_SUFFIX, ArchivePart, DamagedArchive, list_parts
from penumbra.storage.atomic import replace_file
from penumbra.storage.sealed import hash_file, remove_sealed_file


def repair_parts(folder: Path) -> Iterator[str]:
    """Check the table of every part of a log; the facts are checked as they are read.

    Args:
        folder: The log's folder.

    Yields:
        A sentence for each table that was brought back, or will be made again from its segments.

    Raises:
        DamagedArchive: A table can't be brought back.
    """
    for path, part in list_parts(folder):
        table = path.with_suffix(TABLE_SUFFIX)
        if table.exists() and hash_file(table) != part.sha256:
            yield _repair_table(folder, path, part)


def _repair_table(folder: Path, path: Path, part: ArchivePart) -> str:
    table = path.with_suffix(TABLE_SUFFIX)
    segments = [folder / (name + append_log.SEGMENT_SUFFIX) for name in part.segments]
    if all(segment.exists() for segment in segments):
        table.unlink()
        remove_sealed_file(path)
        return f"{table} is not what was written: it is removed, and the archiver makes it again from its segments"
    if part.shipped and (content := _fetch(part)) is not None:
        replace_file(table, content)
        return f"{table} is not what was written: it is brought back from {part.shipped}"
    raise DamagedArchive(f"{table} is not what was written, and its segments are gone: bring it back from a backup")


def _fetch(part: ArchivePart) -> bytes | None:
    try:
        with fsspec.open(part.shipped, "rb") as file:
            content = bytes(file.read())
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == part.sha256 else None
