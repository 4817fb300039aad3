"""The raw files of a batch as `parse()` gets them: content that is read when it is asked for, and paths."""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

FILE_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)  # no matter of the network
RawContent = bytes | Iterable[bytes]
"""The content of a file: all of it, or pieces of any size, which are taken once and one after the other."""


class RawFiles(Mapping[str, bytes]):
    """The content of each raw file of a batch, by its path relative to the batch's folder.

    Attributes:
        paths: Where each file lies, by the same names: what is too large for memory is read from there.
    """

    def __init__(self, paths: Mapping[str, Path], contents: Mapping[str, bytes] | None = None) -> None:
        """`paths` has all files; those that `contents` has, too, aren't read again."""
        self.paths = paths
        self._contents = contents or {}

    def __getitem__(self, name: str) -> bytes:
        content = self._contents.get(name)
        return self.paths[name].read_bytes() if content is None else content

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    @functools.cached_property
    def sums(self) -> dict[str, str]:
        """The md5 of each file in hexadecimal digits, by the same names."""
        return {
            name: hash_md5(path) if (content := self._contents.get(name)) is None else hashlib.md5(content).hexdigest()
            for name, path in self.paths.items()
        }


def write_raw_files(folder: Path, files: Mapping[str, RawContent]) -> RawFiles:
    """Write raw files into a folder.

    Args:
        folder: The folder, which need not exist.
        files: The content of each file, by its path relative to the folder.

    Returns:
        The files; content that was given as a whole stays in memory.

    Raises:
        OSError: Where they can't be written.
    """
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
    whole = {name: content for name, content in files.items() if isinstance(content, bytes)}
    return RawFiles({name: folder / name for name in files}, whole)


def hash_contents(files: Mapping[str, RawContent]) -> dict[str, str]:
    """Compute the md5 of the files that are given as a whole; pieces could be taken once only.

    Args:
        files: The content of each file by its name.

    Returns:
        The md5 in hexadecimal digits by the same names, without those of files in pieces.
    """
    return {name: hashlib.md5(content).hexdigest() for name, content in files.items() if isinstance(content, bytes)}


def hash_md5(path: Path) -> str:
    """Compute the md5 of a file, some of it at a time.

    Args:
        path: The file.

    Returns:
        The md5 in hexadecimal digits.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
