"""Facts about a log's segments that can be read from outside its writer, and the sealing of closed ones."""

import datetime as dt
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from penumbra.logs import append_log
from penumbra.storage.atomic import replace_file
from penumbra.storage.sealed import hash_file

SEAL_SUFFIX = ".sha256"
SHIPPED_SUFFIX = ".shipped"  # beside a segment that was shipped to other replicas: under which name
TAIL_BYTES = 1 << 16
PEER_SUFFIX = ".peer"  # beside a segment that was fetched from another replica: its id

logger = logging.getLogger("penumbra.logs")


def parse_start_time(segment: str) -> dt.datetime:
    """Return the time (UTC) at which a `segment` was begun, from its name."""
    return dt.datetime.fromtimestamp(int(segment[:11], 16) / 1000, dt.UTC)


def has_start_time(segment: str) -> bool:
    """Return whether the name of a `segment` begins with a time that there is."""
    try:
        parse_start_time(segment)
    except (ValueError, OverflowError):
        return False
    return True


def list_own_segments(folder: Path) -> list[Path]:
    """Return the segments of the log in `folder` that were written here, the one begun first at the front."""
    others = _list_fetched_names(folder)
    return [path for path in append_log.list_segments(folder) if path.stem not in others]


def read_own_segment_sizes(folder: Path) -> dict[Path, int]:
    """Return the segments of the log in `folder` that were written here, with their sizes in bytes, first one first."""
    others = _list_fetched_names(folder)
    return {path: size for path, size in append_log.read_segment_sizes(folder).items() if path.stem not in others}


def is_segment_fetched(path: Path) -> bool:
    """Return whether the segment at `path` was fetched from another replica."""
    return path.with_suffix(PEER_SUFFIX).exists()


def is_segment_shipped(path: Path) -> bool:
    """Return whether the segment at `path` was shipped to other replicas, or fetched from one."""
    return path.with_suffix(SHIPPED_SUFFIX).exists() or path.with_suffix(PEER_SUFFIX).exists()


def remove_segment(path: Path) -> None:
    """Remove the segment at `path`, then the marks beside it, without which it would count as new."""
    for suffix in (append_log.SEGMENT_SUFFIX, SEAL_SUFFIX, SHIPPED_SUFFIX, PEER_SUFFIX):
        path.with_suffix(suffix).unlink(missing_ok=True)


def delete_fetched_segments(folder: Path, before: dt.datetime) -> Iterator[Path]:
    """Delete segments that were fetched from other replicas; whoever wants one again fetches it again.

    Args:
        folder: The log's folder.
        before: Those that were begun later (UTC) are kept.

    Yields:
        The paths of the deleted segments.
    """
    for mark in sorted(folder.glob("*" + PEER_SUFFIX)):
        path = mark.with_suffix(append_log.SEGMENT_SUFFIX)
        if parse_start_time(path.stem) < before:
            remove_segment(path)
            yield path


def repair_segment(path: Path, whole: int | None = None) -> int:
    """Cut off what follows the last whole line of a closed segment.

    Args:
        path: The segment.
        whole: The position to cut at instead, in bytes.

    Returns:
        How many bytes were cut off.
    """
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        keep = size - len(_read_last_line(file)) if whole is None else whole
        if keep < size:
            file.truncate(keep)
    return size - keep


def restore_last_newline(path: Path) -> bool:
    """Write the end of a closed segment's last line again, where that byte alone has changed: it isn't a torn line.

    Args:
        path: The segment.

    Returns:
        Whether it was; that is logged.
    """
    with path.open("r+b") as file:
        if not append_log.has_valid_checksum(_read_last_line(file)[:-1]):
            return False
        file.seek(-1, os.SEEK_END)
        file.write(b"\n")
    logger.error("%s: the last byte had changed, and is the end of its line again", path)
    return True


def read_last_write_time(path: Path) -> dt.datetime:
    """Return the time (UTC) at which the segment at `path` was last written to."""
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)


def seal_segment(path: Path) -> str:
    """Compute the checksum of a closed segment and leave it beside the segment, at the first call.

    What follows the last whole line is cut off before.

    Args:
        path: The segment.

    Returns:
        The SHA-256 in hexadecimal digits.
    """
    beside = path.with_suffix(SEAL_SUFFIX)
    if not beside.exists():
        restore_last_newline(path)
        repair_segment(path)
        replace_file(beside, hash_file(path).encode())
    return beside.read_bytes().decode(errors="replace")


def seal_changed_segment(path: Path, content: bytes) -> str:
    """Seal a segment as it is, though it isn't what was sealed: its damaged lines are told by their own checksums.

    Args:
        path: The segment.
        content: Its content.

    Returns:
        The SHA-256 of its content.
    """
    digest = hashlib.sha256(content).hexdigest()
    if seal_segment(path) != digest:
        logger.error("%s is not what was sealed: it is archived as it is, its damaged lines are left out", path)
        replace_file(path.with_suffix(SEAL_SUFFIX), digest.encode())
    return digest


def _read_last_line(file: BinaryIO) -> bytes:
    """What follows the last newline of a file, which is read from its end."""
    tail, start = b"", file.seek(0, os.SEEK_END)
    while start and b"\n" not in tail:
        count = min(start, TAIL_BYTES)
        start = file.seek(start - count)
        tail = file.read(count) + tail
    return tail[tail.rfind(b"\n") + 1 :]


def _list_fetched_names(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*" + PEER_SUFFIX)}
