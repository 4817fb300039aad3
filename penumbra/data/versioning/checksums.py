"""The md5 of files, each computed once: a file of the same size, change time and inode isn't read again."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from penumbra.core.raw_files import hash_md5
from penumbra.storage.sealed import DamagedFile, read_sealed_file, replace_sealed_file

FileStat = tuple[int, int, int]

logger = logging.getLogger("penumbra.data")


class ChecksumCache:
    """An index of checksums in one file, which may be deleted at any time: what is missing is computed again."""

    def __init__(self, index: Path):
        self.index = index
        self._stamp = _read_stamp(index)  # of the index that `known` has all of; None for one that isn't there
        self.known = _load_index(index)
        self.unsaved: dict[str, tuple[FileStat, str]] = {}

    def md5(self, path: str) -> str:
        """Compute the md5 of a file's content, or look it up.

        Args:
            path: The file.

        Returns:
            The md5 in hexadecimal digits.

        Raises:
            OSError: Where the file can't be read.
        """
        found, mark = self.known.get(path), read_file_stat(path)
        if found is None or found[0] != mark:
            self.known[path] = self.unsaved[path] = found = (mark, hash_md5(Path(path)))
        return found[1]

    def note(self, path: str, stat: FileStat, md5: str) -> None:
        """Note the md5 of a file's content that was computed elsewhere.

        Args:
            path: Where the file will be, moved by a rename, when it is asked for.
            stat: What `read_file_stat` returned of it before its content was read: a file that has changed since then
                is read again.
            md5: In hexadecimal digits.
        """
        self.known[path] = self.unsaved[path] = stat, md5

    def forget(self) -> None:
        """Have each file read once more, as a changed byte may leave size and change time as they were."""
        self.known, self.unsaved = {}, {}

    def sum_sizes(self, paths: Iterable[str]) -> int:
        """Return the bytes of the files at `paths`, whose checksums were looked up."""
        return sum(self.known[path][0][0] for path in paths)

    def save(self) -> None:
        """Write the index where it has changed, as a whole or not at all, with what others have written meanwhile."""
        if not self.unsaved:
            return
        self.index.parent.mkdir(parents=True, exist_ok=True)
        has_all = self._stamp == _read_stamp(self.index)
        known = self.known if has_all else _load_index(self.index) | self.unsaved
        replace_sealed_file(self.index, msgspec.json.encode(known))
        self.unsaved, self._stamp = {}, _read_stamp(self.index) if has_all else None


def read_file_stat(path: str) -> FileStat:
    """Return size in bytes, change time in ns and inode of the file at `path`; another one where it was written to."""
    found = os.stat(path)
    return (found.st_size, found.st_mtime_ns, found.st_ino)


def _read_stamp(index: Path) -> FileStat | None:
    try:
        return read_file_stat(str(index))
    except OSError:
        return None


def _load_index(index: Path) -> dict[str, tuple[FileStat, str]]:
    try:
        return msgspec.json.decode(read_sealed_file(index), type=dict[str, tuple[FileStat, str]])
    except DamagedFile as error:
        logger.warning("%s: the checksums in it are computed again", error)
    except (OSError, ValueError):
        pass
    return {}
