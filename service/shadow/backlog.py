"""Which lines of the prediction log a model of the shadow gets next, and what is left for it to do."""

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
    """Whole lines of a segment, at [start, end)."""

    path: Path
    start: int
    end: int
    lines: Sequence[LoggedPrediction]
    content: Sequence[bytes]
    tries: int = 1

    def take_first(self, n_lines: int) -> "ScoringJob":
        """The job of its first lines only."""
        content = self.content[:n_lines]
        end = self.start + sum(len(line) + 1 for line in content)
        return replace(self, end=end, lines=self.lines[:n_lines], content=content)

    def count_older(self, moment: dt.datetime) -> int:
        """How many of its first lines are."""
        return next((n for n, line in enumerate(self.lines) if line.time >= moment), len(self.lines))


@dataclass(frozen=True)
class Backlog:
    """Bytes that wait: of what came since the model began (`new`) and of what was there (`past`); since when."""

    new: int
    past: int
    since: dt.datetime | None


def make_shadow_start(predictions: Path, model: str, catch_up_hours: float) -> ShadowStart:
    """The model is scored from now on; of the past, segments that were written to since so many hours ago."""
    now = dt.datetime.now(dt.UTC)
    sizes, oldest = append_log.read_segment_sizes(predictions), now - dt.timedelta(hours=catch_up_hours)
    outside = [path.stem for path in sizes if read_last_write_time(path) < oldest]
    return ShadowStart(model, now, {path.stem: size for path, size in sizes.items()}, outside)


def read_next_job(predictions: Path, progress: ShadowProgress, rows: int) -> ScoringJob | None:
    """The next lines: what came since the model began goes first, oldest first; then the past, newest first."""
    for path, span in list_unscored_spans(predictions, progress):
        if job := _read_job(path, span, rows):
            return job
    return None


def measure_backlog(predictions: Path, progress: ShadowProgress) -> Backlog:
    """All that there is to do."""
    new, past = _split_unscored_spans(predictions, progress)
    waiting = [job.lines[0].time for path, span in new if (job := _read_job(path, span, 1))]
    return Backlog(_count_bytes(new) if waiting else 0, _count_bytes(past), min(waiting, default=None))


def list_unscored_spans(predictions: Path, progress: ShadowProgress) -> Iterator[tuple[Path, ByteSpan]]:
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
    """At most so many whole lines from the span's start; None where there is none."""
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
        except (msgspec.MsgspecError, ValueError):  # the position is the id of a damaged line too
            yield LoggedPrediction(f"{segment}-{position:x}", UNREADABLE_TIME)
        position += len(line) + 1


def _count_bytes(todo: Sequence[tuple[Path, ByteSpan]]) -> int:
    return sum(end - start for _, (start, end) in todo)
