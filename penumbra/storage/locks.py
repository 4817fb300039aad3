"""Kernel locks on files (`flock`): released by the kernel when the process that holds one ends, however it ends."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

SCRATCH_LOCK = "lock"


@contextlib.contextmanager
def hold_file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock for the block; wait as long as another process holds it.

    Args:
        path: The lock file, created where there is none; its folder must exist.

    Yields:
        Nothing.
    """
    lock = acquire_lock(path, wait=True)
    try:
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def hold_folder_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder itself for the block, for a few renames in it; wait for other processes.

    Where the file system can't lock a folder, as NFS can't, nothing is locked.

    Args:
        folder: The folder.

    Yields:
        Nothing.
    """
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@contextlib.contextmanager
def open_scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Open a temporary folder for the block, and remove those of processes that were killed in theirs.

    Args:
        parent: Where it is; this folder must exist.
        prefix: What the names of such folders begin with.

    Yields:
        The folder, with a lock file in it.
    """
    with contextlib.ExitStack() as held:
        with hold_folder_lock(parent):
            for left in parent.glob(f"{prefix}*"):
                with contextlib.suppress(OSError):
                    if not is_file_locked(left / SCRATCH_LOCK):
                        shutil.rmtree(left)
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=parent)))
            held.enter_context(hold_file_lock(folder / SCRATCH_LOCK))
        yield folder


def acquire_lock(path: Path, wait: bool = False, shared: bool = False) -> int:
    """Take a lock on a file, which is created where there is none.

    Args:
        path: The lock file; its folder must exist.
        wait: Whether to wait for a process that holds the lock.
        shared: Whether others may hold the lock as well, if they share it too.

    Returns:
        The file descriptor that holds the lock until it is closed; child programs don't inherit it.

    Raises:
        BlockingIOError: Where another process is in the way and `wait` is false.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, mode if wait else mode | fcntl.LOCK_NB)
    except BaseException:
        os.close(file)
        raise
    return file


def create_locked_file(path: Path) -> int:
    """Create a file for appending and take an exclusive lock on it.

    Args:
        path: The file; it must not exist.

    Returns:
        The file descriptor, open for reading and appending, which holds the lock until it is closed.

    Raises:
        OSError: Where the file exists or can't be created.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def is_file_locked(path: Path) -> bool:
    """Tell whether another open file holds an exclusive lock on a file.

    Args:
        path: The file.

    Returns:
        True while a process holds the lock.

    Raises:
        FileNotFoundError: Where there is no such file.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
