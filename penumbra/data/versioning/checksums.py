"""The md5 of files, each computed once: a file of the same size, change time and inode isn't read again.

Nor is a folder listed again to which the same applies; it is kept beside the files, its name with a separator at its
end.
"""

import logging
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from penumbra.core.raw_files import hash_md5
from penumbra.storage.sealed import DamagedFile, read_sealed_file, replace_sealed_file

FileStat = tuple[int, int, int]
SETTLED_NS = 2_000_000_000  # after which another change of a folder has another time, whatever clock the disk has

logger = logging.getLogger("penumbra.data")


class ChecksumCache:
    """An index of checksums in one file, which may be deleted at any time: what is missing is computed again."""

    def __init__(self, index: Path):
        self.index = index
        self._stamp = _read_stamp(index)  # of the index that `known` has all of; None for one that isn't there
        self.known = _load_index(index)
        self.unsaved: dict[str, tuple[FileStat, str]] = {}

    def look_up(self, paths: Iterable[str]) -> list[str]:
        """Look up the md5 of the contents of files, or compute it.

        Args:
            paths: The files.

        Returns:
            The md5 of each in hexadecimal digits.

        Raises:
            OSError: Where one of the files can't be read.
        """
        known, found = self.known, list[str]()
        for path in paths:
            earlier, stat = known.get(path), read_file_stat(path)
            if earlier is None or earlier[0] != stat:
                known[path] = self.unsaved[path] = earlier = (stat, hash_md5(Path(path)))
            found.append(earlier[1])
        return found

    def find_files(self, folder: str) -> list[str] | None:
        """Find the files that a folder is known to have, as nothing was put into it or taken out of it since.

        Args:
            folder: The folder.

        Returns:
            Their paths; None where it is to be listed.

        Raises:
            OSError: Where there is no such folder.
        """
        earlier = self.known.get(folder + os.sep)
        if earlier is None or earlier[0] != read_folder_stat(folder):
            return None
        return [f"{folder}{os.sep}{name}" for name in earlier[1].split(os.sep)]

    def note_files(self, folder: str, stat: FileStat, names: Sequence[str]) -> None:
        """Note which files a folder has, unless it has changed so lately that its next change might not show.

        Args:
            folder: The folder.
            stat: What `read_folder_stat` returned of it before it was listed.
            names: The names of its files, at least one; it has nothing else.
        """
        if time.time_ns() - stat[1] > SETTLED_NS:
            self.known[folder + os.sep] = self.unsaved[folder + os.sep] = stat, os.sep.join(names)

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
        """Have files read and folders listed once more: a changed byte may leave size and change time as they were."""
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


def read_folder_stat(folder: str) -> FileStat:
    """Return size, time of the last change in ns (nobody can set it) and inode of the folder at `folder`."""
    found = os.stat(folder)
    return (found.st_size, found.st_ctime_ns, found.st_ino)


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
