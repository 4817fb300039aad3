"""The shadow log: the answers of other models than the live one to every logged prediction, in an append-only log.

A row is one model's answer to one prediction, or why there is none. The rows of a micro-batch are followed by a line
that names the span of the prediction log's segment that they answer for, and that makes them count. All of it is one
write: rows without such a line after them were left by a process that was killed, and are cut off by the next one. That
is why nothing is scored twice or left out, whenever a process dies: there is no second file.

Each segment begins with the state before it, so that only the last one has to be read at a start. The records are in
penumbra/logs/schema.py, the state in penumbra/logs/shadow/shadow_state.py.
"""

import datetime as dt
import functools
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from penumbra.logs import segments
from penumbra.logs.append_log import LogWriter, encode_json, is_line_whole, list_segments, read_lines, read_tail
from penumbra.logs.schema import ShadowBatch, ShadowRow, ShadowStart
from penumbra.logs.shadow.shadow_state import ShadowState
from penumbra.storage.locks import acquire_lock

SHADOW_ROLES = ("candidate", "previous", "live")  # who can be in the shadow; the live model only beside a canary
ROW_MARKER = b',"is":"row",'
MARKER_SEARCH_BYTES = 50
DAMAGED_SEGMENT_SUFFIX = ".damaged"

logger = logging.getLogger("penumbra.logs")


class ShadowLogLocked(RuntimeError):
    """Another process writes this shadow log."""


_line_decoder, _state_decoder = msgspec.json.Decoder(ShadowBatch | ShadowStart), msgspec.json.Decoder(ShadowState)
_any_decoder = msgspec.json.Decoder(ShadowBatch | ShadowStart | ShadowState)


class ShadowLog:
    """The one writer of the shadow log; raises ShadowLogLocked where another process writes it."""

    def __init__(self, folder: Path, predictions: Path, megabytes: float = 64, hours: float = 24) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._predictions = predictions
        try:
            self._lock = acquire_lock(folder / "lock")
        except BlockingIOError:
            raise ShadowLogLocked(f"another process writes {folder}") from None
        self._writer = LogWriter(folder, megabytes, hours, heading=self._heading)
        self.state = load_shadow_state(folder)

    def append(self, line: ShadowBatch | ShadowStart, rows: Sequence[ShadowRow] = ()) -> None:
        """Write rows and the line that makes them count.

        Args:
            line: The batch that the rows belong to, or the start of a model.
            rows: The rows.

        Raises:
            OSError: Where the write fails; nothing of it counts then.
            ValueError: Where the line answers for something a second time.
        """
        try:
            self._writer.append([encode_json(each) for each in (*rows, line)])
        except OSError:
            for path in segments.list_own_segments(self.folder):
                if _read_serial(path) == self.state.serial:
                    cut_uncommitted_rows(path)
            raise
        self.state.apply_line(line)

    def recover(self) -> None:
        """Repair the log as `LogWriter.recover` does; called from time to time."""
        self._writer.recover()

    def close(self) -> None:
        """Close the log and release its lock.

        Raises:
            OSError: Where a segment has vanished and can't be written anew; its rows are scored again later.
        """
        try:
            self._writer.close()
        finally:
            os.close(self._lock)

    def _heading(self) -> bytes:
        existing = {path.stem for path in list_segments(self._predictions)}
        self.state.forget_deleted(existing, dt.datetime.now(dt.UTC))
        self.state.serial += 1
        return encode_json(self.state)


def load_shadow_state(folder: Path, repair: bool = True) -> ShadowState:
    """Read the state of the shadow log.

    Args:
        folder: The log's folder.
        repair: Whether to cut off rows that don't count, and to set a damaged segment aside: only for the log's writer.

    Returns:
        The progress of every model; empty where there is no log.
    """
    for path in sorted(segments.list_own_segments(folder), key=_read_serial, reverse=True):
        lines = _read_state_lines(path)
        if repair:
            cut_uncommitted_rows(path)
        try:
            if lines:
                return _read_state(lines)
        except ValueError as error:
            logger.warning("%s can't be read to its end (%s): what it answers for is scored again", path, error)
            if repair:
                path.rename(path.with_suffix(DAMAGED_SEGMENT_SUFFIX))
    return ShadowState({})


def _read_state_lines(path: Path) -> list[bytes]:
    """The lines of a segment that aren't rows; none where it was deleted."""
    with suppress(FileNotFoundError):
        return [line for line in read_lines(path) if not is_shadow_row(line)]
    return []


class ShadowStateReader:
    """Reads the state of a shadow log again and again; what was read before isn't read anew."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read of `folder` yet, which needn't exist."""
        self._folder, self._state = folder, ShadowState({})
        self._segment: Path | None = None
        self._position = 0

    def read(self) -> ShadowState:
        """Read on.

        Returns:
            What `load_shadow_state` returns without repairing anything; it changes with the next call.

        Raises:
            ValueError: A line is damaged.
            FileNotFoundError: The segment was removed, or set aside, as it was read.
        """
        newest = find_newest_segment(self._folder)
        if newest != self._segment:
            self._segment, self._position = newest, 0
            self._state = self._state if newest else ShadowState({})
        position = self._position
        while newest and (content := read_tail(newest, position)):
            for line in content.splitlines(keepends=True):
                position += len(line)
                if not is_shadow_row(line):
                    self._apply(line)
                    self._position = position
        return self._state

    def _apply(self, line: bytes) -> None:
        if not is_line_whole(line):
            raise ValueError("a byte has changed in one of its lines")
        if isinstance(entry := _any_decoder.decode(line), ShadowState):
            self._state = entry
        else:
            self._state.apply_line(entry)


def read_shadow_state(folder: Path) -> ShadowState:
    """Read the state of the shadow log; a process that reads it again doesn't read again what it has read.

    Args:
        folder: The log's folder.

    Returns:
        What `load_shadow_state` returns without repairing anything; it changes with the next call.
    """
    try:
        return _get_state_reader(folder.absolute()).read()
    except (ValueError, FileNotFoundError):  # a line is damaged, or its segment was removed or set aside meanwhile
        return load_shadow_state(folder, repair=False)


@functools.cache
def _get_state_reader(folder: Path) -> ShadowStateReader:
    return ShadowStateReader(folder)


def _read_state(lines: Sequence[bytes]) -> ShadowState:
    """The state after a segment's lines that aren't rows. Raises ValueError where one is damaged."""
    if not all(map(is_line_whole, lines)):
        raise ValueError("a byte has changed in one of its lines")
    state = _state_decoder.decode(lines[0])
    for line in lines[1:]:
        state.apply_line(_line_decoder.decode(line))
    return state


def find_newest_segment(folder: Path) -> Path | None:
    """Return the path of the segment that was begun last of those written to the log in `folder` here, or None."""
    return max(segments.list_own_segments(folder), key=_read_serial, default=None)


def _read_serial(path: Path) -> int:
    try:
        with path.open("rb") as lines:
            return int(_state_decoder.decode(lines.readline()).serial)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return 0


def cut_uncommitted_rows(path: Path) -> None:
    """Cut off the rows at the end of `path` that no line makes count; remove a segment without such a line."""
    with suppress(FileNotFoundError):
        segments.restore_last_newline(path)
        end = max((end for _, end in read_committed_lines(path)), default=0)
        segments.repair_segment(path, end) if end else path.unlink()


def read_committed_lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Read the lines of a segment that count.

    Args:
        path: The segment; one that doesn't exist has none.

    Yields:
        A line with its end, and the position after it in bytes.
    """
    waiting: list[tuple[bytes, int]] = []
    end = 0
    try:
        for line in read_lines(path):
            end += len(line)
            waiting.append((line, end))
            if not is_shadow_row(line):
                yield from waiting
                waiting = []
    except FileNotFoundError:
        return


def is_shadow_row(line: bytes) -> bool:
    """Return whether a `line` of the shadow log is a `ShadowRow`, without decoding it."""
    return ROW_MARKER in line[:MARKER_SEARCH_BYTES]
