"""Append-only logs: files that only grow, one line of JSON per entry.

Each line ends with a checksum of itself, so that one in which a byte has changed is left out by every reader; a line
without one, of an earlier release, is taken as it is.

Each process writes a segment of its own. A segment's name sorts by the time it was begun, and an entry's id is the
segment's name with the position of its line, so an entry is found by a seek, without an index. A segment that is large
or old is closed and a new one begun. What becomes of closed segments is in penumbra/logs/segments.py and
penumbra/logs/archiving/archive.py.
"""

import errno
import itertools
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from penumbra.storage.locks import create_locked_file

SEGMENT_SUFFIX = ".jsonl"
ENTRY_ID_PATTERN = re.compile(r"([0-9a-f]{17})-([0-9a-f]{1,12})")
CLOSED_FILE = -1
CHUNK_BYTES = 1 << 24
BYTES_PER_MEGABYTE = 1 << 20
CHECK_MARKER = b',"crc":"'
CHECK_FORMAT = CHECK_MARKER + b'%08x"}'
CHECK_BYTES = len(CHECK_FORMAT % 0)
_encoder = msgspec.json.Encoder()
encode_json = _encoder.encode


class LogWriter:
    """Appends to a segment of its own, which the first write opens. One per process; not safe for several threads.

    While a segment is open its writer holds a lock on it, which nobody waits for: it tells others that the segment can
    still grow, and the kernel releases it when the process ends.
    """

    def __init__(
        self, folder: Path, megabytes: float = 64, hours: float = 1, heading: Callable[[], bytes] | None = None
    ) -> None:
        self.folder = folder
        self.is_failing = False
        self._largest = megabytes * BYTES_PER_MEGABYTE
        self._oldest = hours * 3600
        self._heading = heading
        self._file = CLOSED_FILE
        self._segment = ""
        self._size = 0
        self._opened = 0.0

    def append(self, entries: Sequence[bytes]) -> list[str]:
        """Write encoded entries with one system call.

        Args:
            entries: JSON objects without an `id`, each with at least one field.

        Returns:
            The ids of the entries, in their order.

        Raises:
            OSError: Where the write fails, wholly or in part: none of the entries counts. The next call begins a new
                segment, or first writes a segment anew that has vanished.
        """
        try:
            if self.is_failing and self._file != CLOSED_FILE:
                self._bring_back()
            if self._size >= self._largest:
                self.close()
            if self._file == CLOSED_FILE:
                self._open()
            ids = self._write(entries)
        except OSError:
            self._abandon()
            self.is_failing = True
            raise
        self.is_failing = False
        return ids

    def reserve(self) -> str:
        """Prepare the next write.

        Returns:
            The id that the first entry of the next `append` will have, if nothing else is called before.

        Raises:
            OSError: Where nothing can be written.
        """
        self.append(())
        return f"{self._segment}-{self._size:x}"

    def recover(self) -> None:
        """Repair the log; called from time to time.

        Writes a segment anew that was deleted or moved while it was open, checks whether a failing disk works again,
        and closes a segment that is too old. `is_failing` says afterwards whether the log can be written.
        """
        try:
            if self._file != CLOSED_FILE and not self._is_in_place():
                self._bring_back()
            if self.is_failing:
                self._probe_disk()
            elif self._file != CLOSED_FILE and time.monotonic() - self._opened > self._oldest:
                self.close()
        except OSError:
            self.is_failing = True
        else:
            self.is_failing = False

    def close(self) -> None:
        """Close the open segment, if any; the next write begins a new one.

        Raises:
            OSError: Where a segment that has vanished can't be written anew; it stays open.
        """
        if self._file != CLOSED_FILE:
            if self._size and not self._is_in_place():
                self._bring_back()
            self._release()

    def _write(self, entries: Sequence[bytes]) -> list[str]:
        starts, lines, size, segment = [], [], self._size, self._segment.encode()
        for entry in entries:
            body = b'{"id":"%b-%x",%b' % (segment, size, entry[1:-1])
            line = b'%b,"crc":"%08x"}\n' % (body, crc32(body))
            starts.append(size)
            lines.append(line)
            size += len(line)
        self._write_all_or_none(b"".join(lines))
        self._size = size
        return [f"{self._segment}-{start:x}" for start in starts]

    def _write_all_or_none(self, content: bytes) -> None:
        """Append to the open segment; of a write that was cut short nothing stays, as its first lines may be whole."""
        try:
            self._write_whole(self._file, content)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise

    def _write_whole(self, file: int, content: bytes) -> None:
        if (written := os.write(file, content)) != len(content):
            raise OSError(errno.ENOSPC, f"only {written} of {len(content)} bytes could be written", self._segment)

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._segment = _make_segment_name()
        self._file = create_locked_file(self._path())
        self._size, self._opened = 0, time.monotonic()
        if self._heading:
            self._write([self._heading()])

    def _release(self) -> None:
        os.close(self._file)
        self._file, self._size = CLOSED_FILE, 0

    def _abandon(self) -> None:
        """Close a segment after a failure, unless it holds entries and has vanished: then nobody else has them.

        Without a whole entry in it, a segment isn't kept.
        """
        if self._file == CLOSED_FILE or (self._size and not self._is_in_place()):
            return
        if self._size == 0:
            with suppress(OSError):
                self._path().unlink()
        self._release()

    def _is_in_place(self) -> bool:
        """Whether the open segment is where readers look for it; it isn't where it or its folder was deleted."""
        try:
            return os.path.samestat(os.fstat(self._file), self._path().stat())
        except OSError:
            return False

    def _bring_back(self) -> None:
        """Write the segment's content, which is there as long as it is open, to a new file of the same name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path().unlink(missing_ok=True)  # whoever put a file there had a part of this one
        whole = create_locked_file(self._path())
        try:
            for position in range(0, self._size, CHUNK_BYTES):
                count = min(CHUNK_BYTES, self._size - position)
                self._write_whole(whole, os.pread(self._file, count, position))
        except OSError:
            os.close(whole)
            self._path().unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file = whole

    def _path(self) -> Path:
        return self.folder / (self._segment + SEGMENT_SUFFIX)

    def _probe_disk(self) -> None:
        probe = self.folder / f".probe-{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(bytes(4096))
        finally:
            with suppress(OSError):
                probe.unlink()


def encode_lines(entries: Sequence[Any]) -> list[bytes]:
    """Encode entries in one call, each as `encode_json` does.

    Args:
        entries: What msgspec can encode; raw JSON in them has no line ends.

    Returns:
        The JSON of each.
    """
    return _encoder.encode_lines(entries).split(b"\n")[:-1]


def list_segments(folder: Path) -> list[Path]:
    """Return the paths of the segments of the log in `folder`, the one begun first at the front."""
    return sorted(folder.glob("*" + SEGMENT_SUFFIX))


def read_segment_sizes(folder: Path) -> dict[Path, int]:
    """Return the segments of the log in `folder` with their sizes in bytes, the one begun first at the front."""
    found = {}
    for path in list_segments(folder):
        with suppress(FileNotFoundError):  # deleted since it was listed
            found[path] = path.stat().st_size
    return found


def read_entries(folder: Path) -> Iterator[dict[str, Any]]:
    """Read every entry of the segments in `folder`; a line that was cut off at a segment's end is skipped.

    Args:
        folder: The log's folder.

    Yields:
        The entries, each with its `id`, segment by segment.

    Raises:
        msgspec.DecodeError: Where a whole line isn't JSON.
    """
    for path in list_segments(folder):
        yield from (decode_entry(line) for line in read_lines(path) if is_line_whole(line))


def read_lines(path: Path) -> Iterator[bytes]:
    """Read the lines of a segment, which may be written to meanwhile.

    Args:
        path: The segment.

    Yields:
        Each line with its end, up to one that has none yet: what is written next would look like a line of its own.

    Raises:
        FileNotFoundError: Where there is no such segment.
    """
    with path.open("rb") as lines:
        yield from itertools.takewhile(lambda line: line.endswith(b"\n"), lines)


def read_tail(path: Path, position: int) -> bytes:
    """Read the whole lines of a segment from a position on, some megabytes at most.

    Args:
        path: The segment.
        position: The byte at which a line begins.

    Returns:
        The lines with their ends; empty where there is none yet.

    Raises:
        FileNotFoundError: Where the segment was deleted.
    """
    with path.open("rb") as file:
        file.seek(position + CHUNK_BYTES)
        file.readline()
        end = file.tell()  # before anything is read, so that what is read isn't copied to what follows it
        file.seek(position)
        content = file.read(end - position)
    return content[: content.rfind(b"\n") + 1]


def find_entry_in_segments(folder: Path, entry_id: str) -> dict[str, Any] | None:
    """Look up an entry in the log's segments by its id.

    Args:
        folder: The log's folder.
        entry_id: The id, as `append` returned it; any text is allowed.

    Returns:
        The entry, or None where the segments don't have it.
    """
    if not (match := ENTRY_ID_PATTERN.fullmatch(entry_id)):
        return None
    try:
        with (folder / (match[1] + SEGMENT_SUFFIX)).open("rb") as file:
            file.seek(int(match[2], 16))
            line = file.readline()
            found = decode_entry(line)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) and found.get("id") == entry_id and is_line_whole(line) else None


def is_line_whole(line: bytes) -> bool:
    """Tell whether a line of a log is what was written, by the checksum at its end.

    Args:
        line: The line, with or without its end.

    Returns:
        False where a byte of it has changed. A line without a checksum, of an earlier release, is taken as it is.
    """
    whole = line.rstrip(b"\n")
    return whole[-CHECK_BYTES:-10] != CHECK_MARKER or has_valid_checksum(whole)


def has_valid_checksum(line: bytes) -> bool:
    """Return whether a `line` without its end has a checksum, which is that of what is before it."""
    return line.endswith(CHECK_FORMAT % crc32(line[:-CHECK_BYTES]))


def decode_entry(line: bytes) -> Any:
    """Decode a line of a log.

    Args:
        line: The line, with or without its end.

    Returns:
        The entry without its checksum: a dictionary, of a line that is an entry.

    Raises:
        msgspec.DecodeError: Where the line isn't JSON.
        UnicodeDecodeError: Where it isn't text.
    """
    entry = msgspec.json.decode(line)
    if isinstance(entry, dict):
        entry.pop("crc", None)
    return entry


def _make_segment_name() -> str:
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(3)}"
