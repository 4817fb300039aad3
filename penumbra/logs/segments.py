"""Facts about a log's segments that can be read from outside its writer, and the sealing of closed ones."""

import datetime as dt
import logging
import os
from pathlib import Path

from penumbra.logs import append_log
from penumbra.storage.atomic import replace_file
from penumbra.storage.sealed import hash_file

SEAL_SUFFIX = ".sha256"

logger = logging.getLogger("penumbra.logs")


def parse_start_time(segment: str) -> dt.datetime:
    """Return the time (UTC) at which a `segment` was begun, from its name."""
    return dt.datetime.fromtimestamp(int(segment[:11], 16) / 1000, dt.UTC)


def repair_segment(path: Path, whole: int | None = None) -> int:
    """Cut off what follows the last whole line of a closed segment.

    Args:
        path: The segment.
        whole: The position to cut at instead, in bytes.

    Returns:
        How many bytes were cut off.
    """
    with path.open("r+b") as file:
        content = file.read()
        keep = content.rfind(b"\n") + 1 if whole is None else whole
        if keep < len(content):
            file.truncate(keep)
    return len(content) - keep


def restore_last_newline(path: Path) -> bool:
    """Write the end of a closed segment's last line again, where that byte alone has changed: it isn't a torn line.

    Args:
        path: The segment.

    Returns:
        Whether it was; that is logged.
    """
    with path.open("r+b") as file:
        content = file.read()
        tail = content[content.rfind(b"\n") + 1 :]
        if not append_log.has_valid_checksum(tail[:-1]):
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


def seal_changed_segment(path: Path) -> str:
    """Seal a segment as it is, though it isn't what was sealed: its damaged lines are told by their own checksums.

    Args:
        path: The segment.

    Returns:
        The SHA-256 of its content.
    """
    digest = hash_file(path)
    if seal_segment(path) != digest:
        logger.error("%s is not what was sealed: it is archived as it is, its damaged lines are left out", path)
        replace_file(path.with_suffix(SEAL_SUFFIX), digest.encode())
    return digest
