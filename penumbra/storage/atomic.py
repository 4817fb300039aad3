"""Atomic writes: a file or folder is written aside and then renamed, so that no reader ever sees half of it.

A process that is killed before the rename leaves what it wrote aside behind; no reader looks there. Nothing is flushed
to the disk before the rename: the order of data and rename after a loss of power is the file system's.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ASIDE_SUFFIX = ".tmp"
RUST_ERROR_PATTERN = re.compile(r"\(os error (\d+)\)$")  # in what polars raises


@contextlib.contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` once the block has ended without an exception.

    Args:
        path: The file to create or replace; its folder must exist.

    Yields:
        The path to write to: hidden, ending in `.tmp`, and nobody else's, also where machines share the folder. After
        an exception it is removed.

    Raises:
        OSError: Where the rename fails.
    """
    aside = _choose_aside(path)
    try:
        with _name_file(path):
            yield aside
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def is_written_aside(name: str) -> bool:
    """Return whether a file of this `name` is being written aside, or was when its process was killed."""
    return name.startswith(".") and name.endswith(ASIDE_SUFFIX)


@contextlib.contextmanager
def fill_folder_aside(folder: Path) -> Iterator[Path]:
    """Yield a path for a folder in a temporary folder beside `folder`, and rename it to `folder` at the block's end.

    Args:
        folder: The folder to create; it must not exist, or be empty. Its parents are created.

    Yields:
        A path of the same name that doesn't exist yet, in a temporary folder that is removed afterwards in any case;
        files beside the path may be used as scratch.

    Raises:
        OSError: Where the rename fails, or the block created nothing at the path.
    """
    parent = folder.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with _name_file(folder), tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=parent) as scratch:
        aside = Path(scratch) / folder.name
        yield aside
        os.replace(aside, folder)


def replace_file(path: Path, content: bytes | str) -> None:
    """Create or replace a file as a whole.

    Args:
        path: The file; its folder must exist.
        content: All of its content; text is written as UTF-8.

    Raises:
        OSError: Where the file can't be written; an old one is then unchanged.
    """
    with write_aside(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


def replace_by_copy(path: Path, source: Path) -> None:
    """Create or replace a file by a copy of another one, whatever its size.

    Args:
        path: The file; its folder must exist.
        source: The other one.

    Raises:
        OSError: Where `source` can't be read, or the file can't be written; an old one is then unchanged.
    """
    with write_aside(path) as aside:
        shutil.copyfile(source, aside)


def move_file(path: Path, place: Path) -> None:
    """Move a file by one rename; to another file system by a copy that is renamed, unless the file is there already.

    Args:
        path: The file.
        place: The path that it gets; its folder must exist.

    Raises:
        OSError: Where `path` can't be read, or `place` can't be written.
    """
    try:
        os.replace(path, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        if not place.exists():
            replace_by_copy(place, path)
        path.unlink()


def create_file(path: Path, content: bytes) -> bool:
    """Create a file as a whole, if there is none; of many that do so at once one succeeds.

    Args:
        path: The file; its folder must exist.
        content: All of its content.

    Returns:
        False where there is one.

    Raises:
        OSError: Where the file can't be written.
    """
    aside = _choose_aside(path)
    try:
        aside.write_bytes(content)
        os.link(aside, path)
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def _name_file(path: Path) -> Iterator[None]:
    """Name a file in errors of the operating system that name none, such as those of a disk that is full."""
    try:
        yield
    except OSError as error:
        found = RUST_ERROR_PATTERN.search(str(error))
        number = int(found[1]) if found else error.errno
        if type(error) is not OSError or error.filename is not None or number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _choose_aside(path: Path) -> Path:
    return path.with_name(f".{path.name}-{os.urandom(8).hex()}{ASIDE_SUFFIX}")
