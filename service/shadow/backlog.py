"""The backlog of a shadow model: which lines of the prediction log it scores next, and how many are left."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from penumbra.logs import append_log
from penumbra.logs.schema import LoggedPrediction, ShadowStart
from penumbra.logs.segments import read_last_write_time
from penumbra.logs.shadow_state import ByteSpan, ShadowProgress

READ_BYTES = 1 << 22
UNREADABLE_TIME = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class ScoringJob:
    """Whole lines of a segment, in the bytes [start, end)."""

    path: Path
    start: int
    end: int
    lines: Sequence[LoggedPrediction]
    content: Sequence[bytes]
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


@dataclass(frozen=True)
class Backlog:
    """Unscored bytes of lines since the model's start (`new`) and before it (`past`); the oldest new time."""

    new: int
    past: int
    since: dt.datetime | None


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
    sizes, oldest = append_log.read_segment_sizes(predictions), now - dt.timedelta(hours=catch_up_hours)
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
    for path, span in list_unscored_spans(predictions, progress):
        if job := _read_job(path, span, rows):
            return job
    return None


def measure_backlog(predictions: Path, progress: ShadowProgress) -> Backlog:
    """Measure how much a model has yet to score.

    Args:
        predictions: The folder of the prediction log.
        progress: What the model has scored so far.

    Returns:
        New and past bytes, and the time of the oldest new line.
    """
    new, past = _split_unscored_spans(predictions, progress)
    waiting = [job.lines[0].time for path, span in new if (job := _read_job(path, span, 1))]
    return Backlog(_count_bytes(new) if waiting else 0, _count_bytes(past), min(waiting, default=None))


def list_unscored_spans(predictions: Path, progress: ShadowProgress) -> Iterator[tuple[Path, ByteSpan]]:
    """List the spans of bytes that a model has yet to score.

    Args:
        predictions: The folder of the prediction log.
        progress: What the model has scored so far.

    Yields:
        Segment and span, in the order in which `read_next_job` takes them.
    """
    new, past = _split_unscored_spans(predictions, progress)
    yield from new
    yield from reversed(past)


def _split_unscored_spans(
    predictions: Path, progress: ShadowProgress
) -> tuple[list[tuple[Path, ByteSpan]], list[tuple[Path, ByteSpan]]]:
    new, past = [], []
    for path, size in append_log.read_segment_sizes(predictions).items():
        before, since = progress.split_unscored(path.stem, size)
        past += [(path, span) for span in before]
        new += [(path, span) for span in since]
    return new, past


def _read_job(path: Path, span: ByteSpan, rows: int) -> ScoringJob | None:
    """Read at most `rows` whole lines from the span's start; None where there is no whole line."""
    start, end = span
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(min(end - start, READ_BYTES))
            content += file.readline() if start + len(content) < end else b""
    except FileNotFoundError:  # deleted since it was listed
        return None
    lines = content[: content.rfind(b"\n") + 1].split(b"\n")[:-1][:rows]
    if not lines:
        return None
    return ScoringJob(path, start, end, [*_decode_lines(path.stem, start, lines)], lines).take_first(len(lines))


_decode_line = msgspec.json.Decoder(LoggedPrediction).decode


def _decode_lines(segment: str, position: int, lines: Sequence[bytes]) -> Iterator[LoggedPrediction]:
    for line in lines:
        try:
            yield _decode_line(line)
        except (msgspec.MsgspecError, ValueError):  # a damaged line has its position as id too
            yield LoggedPrediction(f"{segment}-{position:x}", UNREADABLE_TIME)
        position += len(line) + 1


def _count_bytes(spans: Sequence[tuple[Path, ByteSpan]]) -> int:
    return sum(end - start for _, (start, end) in spans)
