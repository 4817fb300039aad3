"""What can be told of a log's segments from outside: whether one is still written, and how much of it counts."""

import datetime as dt
import hashlib
from pathlib import Path

from penumbra.storage.atomic import replace_file

SEAL_SUFFIX = ".sha256"


def parse_start_time(segment: str) -> dt.datetime:
    """When a segment was begun, by its name."""
    return dt.datetime.fromtimestamp(int(segment[:11], 16) / 1000, dt.UTC)


def repair_segment(path: Path, whole: int | None = None) -> int:
    """Cut off what follows the last whole line of a closed segment (or the given position); return how many bytes."""
    with path.open("r+b") as file:
        content = file.read()
        keep = content.rfind(b"\n") + 1 if whole is None else whole
        if keep < len(content):
            file.truncate(keep)
    return len(content) - keep


def read_last_write_time(path: Path) -> dt.datetime:
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)


def seal_segment(path: Path) -> str:
    """The checksum of a closed segment, which is left beside it at the first call; what follows the last whole line is
    cut off before."""
    beside = path.with_suffix(SEAL_SUFFIX)
    if not beside.exists():
        repair_segment(path)
        replace_file(beside, hashlib.sha256(path.read_bytes()).hexdigest().encode())
    return beside.read_text()
