"""The backlog of a shadow model: which lines of the prediction log it scores next, and how many are left."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import msgspec

from penumbra.logs import append_log
from penumbra.logs.lag import list_unscored_spans
from penumbra.logs.schema import LoggedPrediction, ShadowStart
from penumbra.logs.segments import read_last_write_time, read_own_segment_sizes
from penumbra.logs.shadow.shadow_state import ByteSpan, ShadowProgress

LINE_BYTES = 1024  # to read for a line at first
UNREADABLE_TIME = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class ScoringJob:
    """Whole lines of a segment, in the bytes [start, end); new where they were logged since the model's start."""

    path: Path
    start: int
    end: int
    lines: Sequence[LoggedPrediction]
    content: Sequence[bytes]
    is_new: bool
    tries: int = 1

    def take_first(self, n_lines: int) -> "ScoringJob":
        """Return the job of the first `n_lines` lines only."""
        content = self.content[:n_lines]
        end = self.start + sum(len(line) + 1 for line in content)
        return replace(self, end=end, lines=self.lines[:n_lines], content=content)

    def count_older(self, moment: dt.datetime) -> int:
        """Count the leading lines that are older than a moment.

        Args:
            moment: A time with a time zone.

        Returns:
            The number of lines before the first one that is not older.
        """
        return next((n for n, line in enumerate(self.lines) if line.time >= moment), len(self.lines))


def make_shadow_start(predictions: Path, model: str, catch_up_hours: float) -> ShadowStart:
    """Make the log entry that says from where on a model is scored.

    Args:
        predictions: The folder of the prediction log.
        model: The model's version.
        catch_up_hours: Earlier lines count too if their segment was written to within so many hours.

    Returns:
        The entry, with the present size in bytes of each segment, and the segments that are too old.
    """
    now = dt.datetime.now(dt.UTC)
    sizes, oldest = read_own_segment_sizes(predictions), now - dt.timedelta(hours=catch_up_hours)
    outside = [path.stem for path in sizes if read_last_write_time(path) < oldest]
    return ShadowStart(model, now, {path.stem: size for path, size in sizes.items()}, outside)


def read_next_job(predictions: Path, progress: ShadowProgress, rows: int) -> ScoringJob | None:
    """Read the next lines to score: new ones first, oldest first; then those of the past, newest segment first.

    Args:
        predictions: The folder of the prediction log.
        progress: What the model has scored so far.
        rows: The most lines to read.

    Returns:
        The job, or None where nothing is left to score.
    """
    new, past = list_unscored_spans(predictions, progress)
    for path, span, is_new in [*((*each, True) for each in new), *((*each, False) for each in reversed(past))]:
        if job := _read_job(path, span, rows, is_new):
            return job
    return None


def _read_job(path: Path, span: ByteSpan, rows: int, is_new: bool) -> ScoringJob | None:
    """Read at most `rows` whole lines from the span's start; None where there is no whole line."""
    start, end = span
    try:
        with path.open("rb") as file:
            file.seek(start)
            lines = _read_lines(file, end - start, rows)
    except FileNotFoundError:  # deleted since it was listed
        return None
    if not lines:
        return None
    decoded = [*_decode_lines(path.stem, start, lines)]
    return ScoringJob(path, start, end, decoded, lines, is_new).take_first(len(lines))


def _read_lines(file: BinaryIO, size: int, rows: int) -> list[bytes]:
    content = b""
    while content.count(b"\n") < rows and (left := size - len(content)) > 0:
        if not (read := file.read(min(left, rows * LINE_BYTES))):
            break
        content += read
    return content.split(b"\n", rows)[:-1]


_decode_line = msgspec.json.Decoder(LoggedPrediction).decode


def _decode_lines(segment: str, position: int, lines: Sequence[bytes]) -> Iterator[LoggedPrediction]:
    for line in lines:
        yield _decode_whole(line) or LoggedPrediction(f"{segment}-{position:x}", UNREADABLE_TIME)
        position += len(line) + 1


def _decode_whole(line: bytes) -> LoggedPrediction | None:
    """What a line says; None where it is damaged."""
    try:
        return _decode_line(line) if append_log.is_line_whole(line) else None
    except (msgspec.MsgspecError, ValueError):
        return None
