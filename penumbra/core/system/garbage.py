"""Pauses of Python's garbage collector."""

import contextlib
import gc
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Run the block, or the decorated function, without collections of cycles, in all threads.

    Whoever makes many small objects that are in no cycle, such as a tuple for each line of a log, has all objects of
    the process looked at again and again, and nothing is found.

    Yields:
        Nothing.
    """
    _pauses.begin()
    try:
        yield
    finally:
        _pauses.end()


class _PauseCount:
    """How many threads pause collections: the first one disables them, the last one enables them if they were."""

    def __init__(self) -> None:
        self._lock, self._count, self._was_enabled = threading.Lock(), 0, False

    def begin(self) -> None:
        with self._lock:
            if not self._count:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if not self._count and self._was_enabled:
                gc.enable()


_pauses = _PauseCount()
