"""Locks of long work, such as an ingest or a training: whoever is kept waiting is told who is at work.

The lock is the kernel's, and ends with the process that holds it, however that ends. The file's content only tells
people: a line for each process that took the lock since somebody last held it alone.
"""

import contextlib
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

from penumbra.storage.locks import acquire_lock

HOLDER_FIELDS = 3  # of a line: what it does, since when, and the process


class WorkInProgress(RuntimeError):
    """Another process is at work; says which, since when, and with what."""


class PassInProgress(RuntimeError):
    """Another process works in the same folder; names the lock that it holds."""


@contextlib.contextmanager
def hold_work_lock(path: Path, work: str, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold a lock for the block; while other processes are in the way, wait and print who they are.

    Args:
        path: The lock file; it and its folder are created where there are none.
        work: What this process does, in a word, such as "ingest".
        shared: Whether others may hold the lock as well, if they share it too.
        wait: Whether to wait for others.

    Yields:
        Whether it has waited.

    Raises:
        WorkInProgress: Others are in the way, and `wait` is false.
        OSError: The file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, has_waited = _acquire_or_wait(path, work, shared, wait)
    try:
        if not shared:
            os.ftruncate(lock, 0)
        line, end = f"{work}\t{dt.datetime.now():%Y-%m-%d %H:%M:%S}\t{os.getpid()}".encode(), os.fstat(lock).st_size
        os.pwrite(lock, line + b"\n", end)
        yield has_waited
        os.pwrite(lock, b" " * len(line), end)
    finally:
        os.close(lock)


@contextlib.contextmanager
def hold_pass_lock(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock `<folder>/<name>.lock` for the block; don't wait where another process holds it.

    Args:
        folder: The folder that the processes share; created where there is none.
        name: What is done by one process at a time, as part of a file name.

    Yields:
        Nothing.

    Raises:
        PassInProgress: Another process holds the lock.
    """
    path = folder / f"{name}.lock"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(hold_work_lock(path, name, wait=False))
        except WorkInProgress as other:
            message = f"another pass is at it: {other}, {path} is held; this one has nothing to do"
            raise PassInProgress(message) from None
        yield


def describe_holders(path: Path, work: str = "") -> str:
    """Describe the processes that hold a lock.

    Args:
        path: The lock file.
        work: What the process does that asks.

    Returns:
        A clause, such as "another ingest is at work (since 2024-01-31 08:00:00, process 4711)".
    """
    lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    alive = [line for line in lines if len(line) == HOLDER_FIELDS and _is_running(line[-1])]
    if not alive:
        return "another process is at work (just begun)"
    name, since, process = alive[-1]
    return f"{'another ' * (name == work)}{name} is at work (since {since}, process {process})"


def _is_running(process: str) -> bool:
    return Path(f"/proc/{process}").exists() or not Path("/proc").exists()


def _acquire_or_wait(path: Path, work: str, shared: bool, wait: bool) -> tuple[int, bool]:
    try:
        return acquire_lock(path, shared=shared), False
    except BlockingIOError:
        if not wait:
            raise WorkInProgress(describe_holders(path, work)) from None
        print(f"{describe_holders(path, work)}: this one waits for it", flush=True)
        return acquire_lock(path, wait=True, shared=shared), True
