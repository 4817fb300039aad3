"""The shadow log: what other models than the live one say of every logged prediction, in an append-only log.

A row says what one model said of one prediction, or why it said nothing. The rows of a micro-batch are followed by a
line that tells which stretch of which segment of the prediction log they answer for, and that makes them count: all of
it is one write, so rows without such a line after them are what a process that was killed left behind, and are cut off
by the next one. That is why nothing is scored twice or left out, whenever a process dies: there is no second file.

Each segment begins with all that was known before it, so that only the last one has to be read at a start.
"""

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from penumbra.logs import segments
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.append_log import list_segments as files
from penumbra.logs.spans import ByteSpan, add_span, find_gaps
from penumbra.storage.locks import acquire_lock

STATUS_OK, STATUS_ERROR, STATUS_TIMEOUT, STATUS_NAN, STATUS_SHAPE, STATUS_SKIPPED = SHADOW_STATUSES = (
    "ok",
    "error",
    "timeout",
    "nan",
    "shape",
    "skipped",
)
SHADOW_ROLES = ("candidate", "previous", "live")  # who can be in the shadow; the live model only beside a canary
METRICS_FILE = "metrics"  # a file beside the log, see service/shadow/metrics_file.py
REFUSED_FILE = "refused"  # a file of the service's state, see service/processes/deployer.py
ROW_MARKER = b',"is":"row",'
MARKER_SEARCH_BYTES = 50
FORGET_DELETED_AFTER = dt.timedelta(days=1)


class ShadowLogLocked(RuntimeError):
    """Another process writes this shadow log."""


class ShadowRow(msgspec.Struct, tag_field="is", tag="row", omit_defaults=True):
    """One model's answer to one prediction (output as in the prediction log), or why there is none."""

    prediction: str
    model: str
    time: dt.datetime
    output: Any = None
    decision: Any = None
    status: str = STATUS_OK
    reason: str = ""


class ShadowBatch(msgspec.Struct, tag_field="is", tag="batch"):
    """The rows before it answer for [start, end) of a segment. Of those that can be compared with the live model:
    their number, the sum of absolute differences; how many have decisions, and how many of those differ."""

    model: str
    segment: str
    start: int
    end: int
    statuses: dict[str, int]
    compared: int = 0
    difference: float = 0.0
    decided: int = 0
    differing: int = 0


class ShadowStart(msgspec.Struct, tag_field="is", tag="began"):
    """A model is scored from now on: where each segment ended, and which are too old for it."""

    model: str
    time: dt.datetime
    marks: dict[str, int]
    outside: list[str]


class ShadowProgress(msgspec.Struct):
    """What is known of one model: the stretches that were answered for, and sums over them."""

    began: dt.datetime
    marks: dict[str, int]
    spans: dict[str, list[ByteSpan]]
    statuses: dict[str, int] = {}
    compared: int = 0
    difference: float = 0.0
    decided: int = 0
    differing: int = 0
    bytes: int = 0

    def split_unscored(self, segment: str, size: int) -> tuple[list[ByteSpan], list[ByteSpan]]:
        """The stretches of a segment of this size that are not answered for: those that were there when the model
        began, and those that came later."""
        mark = self.marks.get(segment, 0)
        open_ = find_gaps(self.spans.get(segment, []), size)
        past = [(start, min(end, mark)) for start, end in open_ if start < mark]
        return past, [(max(start, mark), end) for start, end in open_ if end > mark]


class ShadowState(msgspec.Struct, tag_field="is", tag="state"):
    """The progress of every model; the first line of each segment. `serial` tells which segment came after which, as
    clocks may be put back."""

    models: dict[str, ShadowProgress]
    serial: int = 0

    def apply_line(self, line: ShadowBatch | ShadowStart) -> None:
        """Add what one line says. Raises ValueError where it answers for something a second time."""
        if isinstance(line, ShadowStart):
            outside = {segment: [(0, line.marks[segment])] for segment in line.outside if line.marks[segment]}
            self.models[line.model] = ShadowProgress(line.time, line.marks, outside)
            return
        progress = self.models[line.model]
        progress.spans[line.segment] = add_span(progress.spans.get(line.segment, []), line.start, line.end)
        for status, count in line.statuses.items():
            progress.statuses[status] = progress.statuses.get(status, 0) + count
        progress.bytes += line.end - line.start
        for name in ("compared", "difference", "decided", "differing"):
            setattr(progress, name, getattr(progress, name) + getattr(line, name))

    def forget_deleted(self, there: set[str], now: dt.datetime) -> None:
        """Drop what is known of segments of the prediction log that were deleted long ago."""
        for progress in self.models.values():
            for each in (progress.spans, progress.marks):
                for segment in [
                    name
                    for name in each
                    if name not in there and now - segments.parse_start_time(name) > FORGET_DELETED_AFTER
                ]:
                    del each[segment]


_line_decoder, _state_decoder = msgspec.json.Decoder(ShadowBatch | ShadowStart), msgspec.json.Decoder(ShadowState)


class ShadowLog:
    """The one writer of the shadow log. Raises Busy where there is another."""

    def __init__(self, folder: Path, predictions: Path, megabytes: float = 64) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._predictions = predictions
        try:
            self._lock = acquire_lock(folder / "lock")
        except BlockingIOError:
            raise ShadowLogLocked(f"another process writes {folder}") from None
        self._writer = LogWriter(folder, megabytes, hours=24, heading=self._heading)
        self.state = load_shadow_state(folder)

    def append(self, line: ShadowBatch | ShadowStart, rows: Sequence[ShadowRow] = ()) -> None:
        """Write rows and the line that makes them count. Raises OSError, after which nothing of it counts."""
        try:
            self._writer.append([encode_json(each) for each in (*rows, line)])
        except OSError:
            for path in files(self.folder):
                if _read_serial(path) == self.state.serial:
                    cut_uncommitted_rows(path)
            raise
        self.state.apply_line(line)

    def recover(self) -> None:
        """To be called now and then. Raises OSError."""
        self._writer.recover()

    def close(self) -> None:
        self._writer.close()
        os.close(self._lock)

    def _heading(self) -> bytes:
        there = {path.stem for path in files(self._predictions)}
        self.state.forget_deleted(there, dt.datetime.now(dt.UTC))
        self.state.serial += 1
        return encode_json(self.state)


def load_shadow_state(folder: Path, repair: bool = True) -> ShadowState:
    """All that counts in the log, which is cut to that where `repair` is set: only for the log's writer."""
    for path in sorted(files(folder), key=_read_serial, reverse=True):
        lines = [line for line, _ in read_committed_lines(path) if not is_shadow_row(line)]
        if repair:
            cut_uncommitted_rows(path)
        if lines:
            state = _state_decoder.decode(lines[0])
            for line in lines[1:]:
                state.apply_line(_line_decoder.decode(line))
            return state
    return ShadowState({})


def find_newest_segment(folder: Path) -> Path | None:
    """The segment that was begun last."""
    return max(files(folder), key=_read_serial, default=None)


def _read_serial(path: Path) -> int:
    try:
        with path.open("rb") as lines:
            return int(_state_decoder.decode(lines.readline()).serial)
    except (FileNotFoundError, msgspec.MsgspecError):
        return 0


def cut_uncommitted_rows(path: Path) -> None:
    """Cut off the rows that no line makes count; a segment without any that does is removed."""
    end = max((end for _, end in read_committed_lines(path)), default=0)
    with suppress(FileNotFoundError):
        segments.repair_segment(path, end) if end else path.unlink()


def read_committed_lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Each line that counts, with the position after it."""
    waiting: list[tuple[bytes, int]] = []
    end = 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                end += len(line)
                waiting.append((line, end))
                if not is_shadow_row(line) and line.endswith(b"\n"):
                    yield from waiting
                    waiting = []
    except FileNotFoundError:
        return


def is_shadow_row(line: bytes) -> bool:
    return ROW_MARKER in line[:MARKER_SEARCH_BYTES]


def read_shadow_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Every row that counts: prediction, model, time, and output and decision or status and reason."""
    for path in files(folder):
        yield from (msgspec.json.decode(line) for line, _ in read_committed_lines(path) if is_shadow_row(line))
