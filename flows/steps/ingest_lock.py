"""The lock of the ingest flow: one ingest of a data folder at a time, for the whole of its run."""

import contextlib
import datetime as dt
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from penumbra.core.settings import SettingsError, load_settings
from penumbra.storage.locks import acquire_lock


@contextlib.contextmanager
def hold_ingest_lock(arguments: Sequence[str]) -> Iterator[None]:
    """Hold the lock while this process runs the ingest flow; wait for another ingest, and say who it is.

    The tasks of a run are processes of their own, which work under the lock of the process that started them.

    Args:
        arguments: The command line; the lock is taken for Metaflow's commands `run` and `resume`.

    Yields:
        Nothing.

    Raises:
        SystemExit: The settings are wrong.
    """
    if not {"run", "resume"} & set(arguments[1:]):
        yield
        return
    try:
        folder = load_settings().data.derived
    except SettingsError as error:
        sys.exit(str(error))
    folder.mkdir(parents=True, exist_ok=True)
    lock = _acquire_or_wait(folder / "ingest.lock")
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"since {dt.datetime.now():%Y-%m-%d %H:%M:%S}, process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(lock)


def _acquire_or_wait(path: Path) -> int:
    try:
        return acquire_lock(path)
    except BlockingIOError:
        print(f"another ingest is at work ({path.read_text() or 'just begun'}): this one waits for it", flush=True)
        return acquire_lock(path, wait=True)
