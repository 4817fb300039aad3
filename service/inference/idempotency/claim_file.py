"""A file of claims, one line each, and where in it the lines of a key are: some 10 bytes of memory a line."""

import os
from array import array
from collections import defaultdict
from pathlib import Path

from penumbra.logs.append_log import CLOSED_FILE

READ_BYTES = 1 << 16  # of one step, which takes about a millisecond
MAX_LINE_BYTES = 256
SPACES = 4  # of a line
BUCKET_BITS, MARK_BITS, POSITION_BITS = 16, 24, 40  # of a key's hash, twice, and of a position in the file


class ClaimFile:
    """The claims of one period, as far as they were read; other processes append to the file, too.

    For each line there is a number, its position with a part of its key's hash, in the bucket that another part of the
    hash names; lines whose keys only share these parts are told apart when they are read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = CLOSED_FILE
        self._forget()

    def open(self, flag: int = 0) -> bool:
        """Open the file, with a `flag` such as `os.O_CREAT`; returns whether it is there."""
        if self._file == CLOSED_FILE:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flag, 0o644)
            except FileNotFoundError:
                return False
        return True

    def append(self, line: bytes) -> None:
        """Append a line, to a new file where this one was deleted; raises OSError where that can't be.

        Of a line that is cut short, whoever reads on finds no claim.
        """
        if self._file != CLOSED_FILE and not self._is_in_place():
            self.close()
            self._forget()
        if not self.open():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self.open(os.O_CREAT)
        os.write(self._file, line)

    def read_on(self) -> bool:
        """Take in one step of what was appended; returns whether that was all."""
        if not self.open():
            return True
        content = os.pread(self._file, READ_BYTES, self._position)
        end = content.rfind(b"\n") + 1
        place = self._position
        for line in content[:end].splitlines(keepends=True):
            if line.count(b" ") == SPACES and len(line) <= MAX_LINE_BYTES:
                bucket, mark = _hash_key(line[: line.index(b" ")])
                self._places[bucket].append(mark << POSITION_BITS | place)
            place += len(line)
        is_all = len(content) < READ_BYTES
        self._position += end if end or is_all else len(content)  # no line is that long
        return is_all

    def find_lines(self, key: bytes) -> list[bytes]:
        """Return the lines with a `key`, without their ends, in their order."""
        bucket, mark = _hash_key(key)
        places = [place for place in self._places.get(bucket, ()) if place >> POSITION_BITS == mark]
        contents = [os.pread(self._file, MAX_LINE_BYTES, place & (1 << POSITION_BITS) - 1) for place in places]
        return [line for line in (content.partition(b"\n")[0] for content in contents) if line.startswith(key + b" ")]

    def close(self) -> None:
        """Close the file."""
        if self._file != CLOSED_FILE:
            os.close(self._file)
            self._file = CLOSED_FILE

    def _forget(self) -> None:
        self._position = 0
        self._places: defaultdict[int, array[int]] = defaultdict(lambda: array("Q"))

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False


def _hash_key(key: bytes) -> tuple[int, int]:
    number = hash(key)
    return number & (1 << BUCKET_BITS) - 1, number >> BUCKET_BITS & (1 << MARK_BITS) - 1
