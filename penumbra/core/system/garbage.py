"""Pauses of Python's garbage collector."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Run the block, or the decorated function, without collections of cycles, in all threads.

    Whoever makes many small objects that are in no cycle, such as a tuple for each line of a log, has all objects of
    the process looked at again and again, and nothing is found.

    Yields:
        Nothing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
