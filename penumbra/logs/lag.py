"""How far the readers of the logs are behind: the index, the archive and the models of the shadow."""

import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from penumbra.core.settings import Settings
from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.logs.queries import lookup
from penumbra.logs.schema import TimedEntry
from penumbra.logs.segments import parse_start_time, read_own_segment_sizes
from penumbra.logs.shadow.shadow_state import ByteSpan, ShadowProgress

# What the readers say of themselves: the shadow beside its log, the others beside the prediction log.
METRICS_FILE, INDEX_METRICS_FILE, ARCHIVE_METRICS_FILE = "metrics", "index-metrics", "archive-metrics"
SHIP_METRICS_FILE = "ship-metrics"
SAMPLE_BYTES, SAMPLED_SPANS = 1 << 16, 8
UnreadSpan = tuple[Path, ByteSpan]
_decode_time = msgspec.json.Decoder(TimedEntry).decode


@dataclass(frozen=True)
class LogLag:
    """What of a log waits for one of its readers.

    Attributes:
        rows: How many lines wait, estimated from their bytes.
        since: The time (UTC) of the oldest of them; None where none waits.
    """

    rows: int = 0
    since: dt.datetime | None = None

    def count_seconds(self, now: dt.datetime | None = None) -> float:
        """Return the age of the oldest line in seconds, by `now` or the clock; not negative, 0 where none waits."""
        now = now or dt.datetime.now(dt.UTC)
        return max(0.0, (now - self.since).total_seconds()) if self.since else 0.0


def measure_lag(unread: Iterable[UnreadSpan]) -> LogLag:
    """Measure what spans of a log's segments hold.

    Args:
        unread: Segments, oldest first, each with a span of bytes that begins with a line.

    Returns:
        The lag, from the first lines of the first spans.
    """
    spans = list(unread)
    samples = [_read_first_lines(path, *span) for path, span in spans[:SAMPLED_SPANS]]
    lines = [line for sample in samples for line in sample]
    length = sum(end - start for _, (start, end) in spans)
    rows = round(length * len(lines) / sum(map(len, lines))) if lines else 0
    return LogLag(rows, min(filter(None, map(_find_first_time, samples)), default=None))


def measure_index_lags(settings: Settings) -> dict[str, LogLag]:
    """Measure what the index has yet to take in.

    Args:
        settings: The folders of the logs.

    Returns:
        The lag by name of the log: "predictions", "labels" and "shadow". Without an index all waits.
    """
    service, labels = settings.service, settings.labels.folder
    try:
        taken = lookup.read_indexed_positions(labels)
    except sqlite3.Error:
        taken = {}
    logs = {"predictions": service.predictions, "labels": labels, "shadow": service.shadow_log}
    return {name: measure_lag(_list_unindexed(folder, name, taken)) for name, folder in logs.items()}


def measure_backlog(predictions: Path, progress: ShadowProgress) -> tuple[LogLag, LogLag]:
    """Measure how much a model of the shadow has yet to score.

    Args:
        predictions: The folder of the prediction log.
        progress: What the model has scored so far.

    Returns:
        What was logged since its start, and before it.
    """
    new, past = list_unscored_spans(predictions, progress)
    return measure_lag(new), measure_lag(past)


def list_unscored_spans(predictions: Path, progress: ShadowProgress) -> tuple[list[UnreadSpan], list[UnreadSpan]]:
    """List the spans of bytes that a model of the shadow has yet to score.

    Args:
        predictions: The folder of the prediction log.
        progress: What the model has scored so far.

    Returns:
        What was logged since its start, and before it: segments with spans, oldest first.
    """
    new, past = [], []
    for path, size in read_own_segment_sizes(predictions).items():
        before, since = progress.split_unscored(path.stem, size)
        past += [(path, span) for span in before]
        new += [(path, span) for span in since]
    return new, past


def measure_archive_lag(settings: Settings, now: dt.datetime) -> LogLag:
    """Measure what is due for the archive: segments of days before today that aren't in Parquet, or not shipped.

    Args:
        settings: The folders of the logs, and the address of the archive.
        now: The time (UTC).

    Returns:
        The lag, since the end of the oldest of these days.
    """
    folders = settings.service.predictions, settings.service.shadow_log
    due = [
        span
        for folder in folders
        for span in _list_unarchived(folder, bool(settings.log.archive or settings.cluster.state), now)
    ]
    days = [parse_start_time(path.stem).date() for path, _ in due]
    since = dt.datetime.combine(min(days), dt.time(tzinfo=dt.UTC)) + dt.timedelta(days=1) if days else None
    return LogLag(measure_lag(due).rows, since)


def measure_folder_bytes(folder: Path) -> int:
    """Return the bytes of all files in a log's `folder` and the folders in it."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # deleted since it was listed
            total += path.stat().st_size if path.is_file() else 0
    return total


def _list_unindexed(folder: Path, name: str, taken: dict[str, int]) -> Iterator[UnreadSpan]:
    for path, size in append_log.read_segment_sizes(folder).items():
        if (position := taken.get(f"{name}/{path.stem}", 0)) < size:
            yield path, (position, size)


def _list_unarchived(folder: Path, is_shipping: bool, now: dt.datetime) -> Iterator[UnreadSpan]:
    done = {
        name
        for _, part in archive_parts.list_parts(folder)
        if part.shipped or not is_shipping
        for name in part.segments
    }
    for path, size in read_own_segment_sizes(folder).items():
        if size and path.stem not in done and parse_start_time(path.stem).date() < now.date():
            yield path, (0, size)


def _read_first_lines(path: Path, start: int, end: int) -> Sequence[bytes]:
    """Some whole lines from the start on; none where the segment was deleted, or its line is cut off."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(min(SAMPLE_BYTES, end - start))
            content += file.readline() if start + len(content) < end else b""
    except FileNotFoundError:
        return []
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def _find_first_time(lines: Sequence[bytes]) -> dt.datetime | None:
    """The time of the first line that has one: a line may be damaged, or none that has a time."""
    for line in lines:
        try:
            return _decode_time(line).time
        except (msgspec.MsgspecError, ValueError):
            continue
    return None
