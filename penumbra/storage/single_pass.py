"""One process at a time, of those that share a folder: who comes while another is at it is told so, and is not kept."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


class PassInProgress(RuntimeError):
    """Another process is at it; says who."""


@contextlib.contextmanager
def hold_pass_lock(folder: Path, what: str) -> Iterator[None]:
    """Held until the end of the block, or of the process, however that ends. Raises Busy."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{what}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PassInProgress(
                f"another pass is at it: {folder / what}.lock is held; this one has nothing to do"
            ) from None
        yield
