"""What the shadow has scored so far, as sets of byte spans of the prediction log's segments, and sums over them."""

import datetime as dt
from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from penumbra.logs.schema import ShadowBatch, ShadowStart
from penumbra.logs.segments import parse_start_time

ByteSpan = tuple[int, int]
FORGET_DELETED_AFTER = dt.timedelta(days=1)


class ShadowProgress(msgspec.Struct):
    """What one model has scored: the spans it answered for, and sums over their rows.

    Attributes:
        began: When its scoring began (UTC).
        marks: By segment, its size in bytes at that time.
        spans: By segment, the spans that were answered for.
        statuses: How many rows have which status.
        compared: How many rows could be compared with the live model's output.
        difference: The sum of their absolute differences.
        decided: How many rows had a decision to compare.
        differing: How many of those decisions differed.
        bytes: The length of all spans.
    """

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
        """Find the spans of a segment that aren't answered for yet.

        Args:
            segment: The segment's name.
            size: Its size in bytes.

        Returns:
            The spans that were there when the model began, and those that were written later.
        """
        mark = self.marks.get(segment, 0)
        gaps = find_gaps(self.spans.get(segment, []), size)
        past = [(start, min(end, mark)) for start, end in gaps if start < mark]
        return past, [(max(start, mark), end) for start, end in gaps if end > mark]


class ShadowState(msgspec.Struct, tag_field="is", tag="state"):
    """The progress of every model: the first line of each segment of the shadow log.

    Attributes:
        models: The progress by version.
        serial: Counts the segments, as a clock that is put back changes the order of their names.
    """

    models: dict[str, ShadowProgress]
    serial: int = 0

    def apply_line(self, line: ShadowBatch | ShadowStart) -> None:
        """Add the facts of one line.

        Args:
            line: A line of the shadow log that isn't a row.

        Raises:
            ValueError: Where it answers for something a second time.
        """
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

    def forget_deleted(self, existing: set[str], now: dt.datetime) -> None:
        """Drop the spans and marks of segments that were deleted and are older than `FORGET_DELETED_AFTER`.

        Args:
            existing: The names of the prediction log's segments.
            now: The time (UTC).
        """
        for progress in self.models.values():
            for by_segment in (progress.spans, progress.marks):
                for segment in list(by_segment):
                    if segment not in existing and now - parse_start_time(segment) > FORGET_DELETED_AFTER:
                        del by_segment[segment]


def add_span(spans: Sequence[ByteSpan], start: int, end: int) -> list[ByteSpan]:
    """Add a span to a set of spans [start, end), which are sorted and neither overlap nor touch.

    Args:
        spans: The set.
        start: The first byte of the new span.
        end: The byte after it.

    Returns:
        The set with the new span, joined to those that it touches.

    Raises:
        ValueError: Where the new span overlaps one of the set.
    """
    position = bisect_left(spans, (start, end))
    before, after = list(spans[:position]), list(spans[position:])
    if (before and before[-1][1] > start) or (after and after[0][0] < end):
        raise ValueError(f"{start} to {end} is covered already, at least in part, by {spans}")
    if before and before[-1][1] == start:
        start = before.pop()[0]
    if after and after[0][0] == end:
        end = after.pop(0)[1]
    return [*before, (start, end), *after]


def find_gaps(spans: Sequence[ByteSpan], size: int) -> list[ByteSpan]:
    """Find the parts of [0, size) that a set of spans doesn't cover.

    Args:
        spans: Spans [start, end), sorted, which neither overlap nor touch.
        size: The end of the range.

    Returns:
        The gaps as spans, in order.
    """
    starts, ends = [0, *(end for _, end in spans)], [*(start for start, _ in spans), size]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
