"""The lock on the state folder: one service works in it at a time, as a second one would take the first one's files.

`python -m service` holds it alone; the workers of one `bentoml serve` share it.
"""

from pathlib import Path

from penumbra.registry.pointers import SERVICE_LOCK_FILE
from penumbra.storage.locks import acquire_lock


class StateFolderRefused(RuntimeError):
    """The state folder is another service's, or can't be written."""


def acquire_state_lock(state: Path, shared: bool = False) -> int:
    """Take the lock on a state folder, which is created where there is none.

    Args:
        state: The service's state folder.
        shared: Whether other workers of the same service may hold it too.

    Returns:
        The file descriptor that holds the lock until it is closed or this process ends.

    Raises:
        StateFolderRefused: Another service holds the lock, or the folder can't be written.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        return acquire_lock(state / SERVICE_LOCK_FILE, shared=shared)
    except BlockingIOError:
        raise StateFolderRefused(
            f"another service works in {state}: end it, or set PENUMBRA_SERVICE__STATE to another folder"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StateFolderRefused(f"the state folder {state} (service.state) can't be written: {reason}") from None
