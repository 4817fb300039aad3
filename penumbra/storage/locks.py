"""Kernel locks on files: who holds one loses it when it ends, however that happens."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def hold_file_lock(path: Path) -> Iterator[None]:
    """One process at a time; the others wait. The folder must be there."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
