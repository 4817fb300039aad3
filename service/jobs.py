"""Which lines of the prediction log a model of the shadow gets next, and what is left for it to do."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from stores import log
from stores.segments import last_written
from stores.shadow import Began, Progress
from stores.spans import Span

READ = 1 << 22
UNREADABLE_TIME = dt.datetime.max.replace(tzinfo=dt.UTC)


class Line(msgspec.Struct):
    """A logged prediction: what was answered; by the live model alone where neither rule nor fallback is named."""

    id: str
    time: dt.datetime
    output: Any = None
    decision: Any = None
    model: str = ""
    rules: Sequence[str] = ()
    fallback: str = ""


@dataclass(frozen=True)
class Job:
    """Whole lines of a segment, at [start, end)."""

    path: Path
    start: int
    end: int
    lines: Sequence[Line]
    content: Sequence[bytes]
    tries: int = 1

    def first(self, number: int) -> "Job":
        """The job of its first lines only."""
        content = self.content[:number]
        end = self.start + sum(len(line) + 1 for line in content)
        return replace(self, end=end, lines=self.lines[:number], content=content)

    def older_than(self, moment: dt.datetime) -> int:
        """How many of its first lines are."""
        return next((n for n, line in enumerate(self.lines) if line.time >= moment), len(self.lines))


@dataclass(frozen=True)
class Backlog:
    """Bytes that wait: of what came since the model began (`new`) and of what was there (`past`); since when."""

    new: int
    past: int
    since: dt.datetime | None


def beginning(predictions: Path, model: str, catch_up_hours: float) -> Began:
    """The model is scored from now on; of the past, segments that were written to since so many hours ago."""
    now = dt.datetime.now(dt.UTC)
    sizes, oldest = log.sizes(predictions), now - dt.timedelta(hours=catch_up_hours)
    outside = [path.stem for path in sizes if last_written(path) < oldest]
    return Began(model, now, {path.stem: size for path, size in sizes.items()}, outside)


def next_job(predictions: Path, progress: Progress, rows: int) -> Job | None:
    """The next lines: what came since the model began goes first, oldest first; then the past, newest first."""
    for path, span in stretches(predictions, progress):
        if job := _read(path, span, rows):
            return job
    return None


def backlog(predictions: Path, progress: Progress) -> Backlog:
    """All that there is to do."""
    new, past = _todo(predictions, progress)
    waiting = [job.lines[0].time for path, span in new if (job := _read(path, span, 1))]
    return Backlog(_bytes(new) if waiting else 0, _bytes(past), min(waiting, default=None))


def stretches(predictions: Path, progress: Progress) -> Iterator[tuple[Path, Span]]:
    new, past = _todo(predictions, progress)
    yield from new
    yield from reversed(past)


def _todo(predictions: Path, progress: Progress) -> tuple[list[tuple[Path, Span]], list[tuple[Path, Span]]]:
    new, past = [], []
    for path, size in log.sizes(predictions).items():
        before, since = progress.todo(path.stem, size)
        past += [(path, span) for span in before]
        new += [(path, span) for span in since]
    return new, past


def _read(path: Path, span: Span, rows: int) -> Job | None:
    """At most so many whole lines from the span's start; None where there is none."""
    start, end = span
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(min(end - start, READ))
            content += file.readline() if start + len(content) < end else b""
    except FileNotFoundError:  # deleted since it was listed
        return None
    lines = content[: content.rfind(b"\n") + 1].split(b"\n")[:-1][:rows]
    if not lines:
        return None
    return Job(path, start, end, [*_decoded(path.stem, start, lines)], lines).first(len(lines))


_decode = msgspec.json.Decoder(Line).decode


def _decoded(segment: str, position: int, lines: Sequence[bytes]) -> Iterator[Line]:
    for line in lines:
        try:
            yield _decode(line)
        except (msgspec.MsgspecError, ValueError):  # the position is the id of a damaged line too
            yield Line(f"{segment}-{position:x}", UNREADABLE_TIME)
        position += len(line) + 1


def _bytes(todo: Sequence[tuple[Path, Span]]) -> int:
    return sum(end - start for _, (start, end) in todo)
