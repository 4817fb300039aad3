"""Sealed files: the SHA-256 of a file's content is kept beside it, so that a changed byte shows whenever it is read.

<name>          the content, in whatever format
<name>.sha256   its digest, in the format of `sha256sum -c`

A file without a seal, written by hand or by an earlier release, is taken as it is. While a file is replaced the seal
names the digests of the old and of the new content, so a process may be killed at any time.
"""

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

from penumbra.storage.atomic import replace_file, write_aside
from penumbra.storage.locks import hold_folder_lock

SEAL_SUFFIX = ".sha256"
CHUNK_BYTES = 1 << 20

logger = logging.getLogger("penumbra.storage")


class DamagedFile(OSError):
    """A sealed file isn't what was written; names it."""


@contextlib.contextmanager
def write_sealed_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; once the block has ended, seal what was written and rename it to `path`.

    Args:
        path: The file to create or replace; its folder must exist.

    Yields:
        The path to write to, as `write_aside` yields it.

    Raises:
        OSError: Where file or seal can't be written.
    """
    with contextlib.ExitStack() as stack:
        with write_aside(path) as aside:
            yield aside
            digest = hash_file(aside)
            stack.enter_context(hold_folder_lock(path.parent))
            before = _read_digests(path) if _has_seal(path) or not path.exists() else [hash_file(path)]
            _write_seal(path, [digest, *before])
        if before not in ([], [digest]):
            _write_seal(path, [digest])


def replace_sealed_file(path: Path, content: bytes | str) -> None:
    """Create or replace a file as a whole, with its seal.

    Args:
        path: The file; its folder must exist.
        content: All of its content; text is written as UTF-8.

    Raises:
        OSError: Where the file can't be written; an old one is then unchanged.
    """
    with write_sealed_aside(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


def read_sealed_file(path: Path) -> bytes:
    """Read a file and check it against its seal.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        DamagedFile: The content isn't what was sealed.
        OSError: The file can't be read.
    """
    for _ in range(2):  # a file that is replaced meanwhile has the seal of its successor
        content, digests = path.read_bytes(), _read_digests(path)
        if not _has_seal(path) or hashlib.sha256(content).hexdigest() in digests:
            return content
    raise DamagedFile(_describe_damage(path))


def read_derived_file(path: Path) -> bytes | None:
    """Read a file that can be made again; where it isn't what was sealed, that is logged.

    Args:
        path: The file.

    Returns:
        Its content; None where there is no such file, or it is damaged.

    Raises:
        OSError: The file can't be read.
    """
    try:
        return read_sealed_file(path)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        logger.warning("%s: it is made again", error)
        return None


def check_sealed_file(path: Path) -> None:
    """Check a file against its seal, where it has one, without keeping its content.

    Args:
        path: The file.

    Raises:
        DamagedFile: The content isn't what was sealed.
        OSError: The file can't be read.
    """
    for _ in range(2):
        digest = hash_file(path)
        if not _has_seal(path) or digest in _read_digests(path):
            return
    raise DamagedFile(_describe_damage(path))


def is_derived_file_whole(path: Path) -> bool:
    """Tell whether a file that can be made again is what was sealed; where it isn't, that is logged.

    Args:
        path: The file.

    Returns:
        False where it is damaged; a file that doesn't exist isn't.
    """
    try:
        check_sealed_file(path)
    except FileNotFoundError:
        return True
    except DamagedFile as error:
        logger.warning("%s: it is made again", error)
        return False
    return True


def is_sealed_file_whole(path: Path) -> bool:
    """Return whether the file at `path` exists, can be read, and is what was sealed."""
    try:
        check_sealed_file(path)
    except OSError:
        return False
    return True


def remove_sealed_file(path: Path) -> None:
    """Remove the file at `path` and its seal, as far as they exist."""
    path.unlink(missing_ok=True)
    get_seal_path(path).unlink(missing_ok=True)


def find_damaged_files(folder: Path) -> list[Path]:
    """Return the paths of all files below `folder` that aren't what was sealed, in the order of their names."""
    sealed = [seal.with_name(seal.name.removesuffix(SEAL_SUFFIX)) for seal in folder.rglob(f"*{SEAL_SUFFIX}")]
    return sorted(path for path in sealed if path.is_file() and not is_sealed_file_whole(path))


def get_seal_path(path: Path) -> Path:
    """Return the path of the seal of the file at `path`."""
    return path.with_name(path.name + SEAL_SUFFIX)


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file, some of it at a time.

    Args:
        path: The file.

    Returns:
        The digest in hexadecimal digits.

    Raises:
        OSError: The file can't be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _describe_damage(path: Path) -> str:
    return f"{path} is not what was written: its content or its seal {path.name}{SEAL_SUFFIX} has changed"


def _has_seal(path: Path) -> bool:
    return get_seal_path(path).exists()


def _read_digests(path: Path) -> list[str]:
    """The digests in a file's seal; none where there is no seal, or it can't be read."""
    try:
        lines = get_seal_path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [digest for digest, _, name in (line.partition("  ") for line in lines) if name == path.name]


def _write_seal(path: Path, digests: list[str]) -> None:
    replace_file(get_seal_path(path), "".join(f"{digest}  {path.name}\n" for digest in dict.fromkeys(digests)))
