"""Sets of positions in a file, as sorted spans [start, end) that neither overlap nor touch."""

from bisect import bisect_left
from collections.abc import Sequence

ByteSpan = tuple[int, int]


def add_span(spans: Sequence[ByteSpan], start: int, end: int) -> list[ByteSpan]:
    """The spans with one more. Raises ValueError where it overlaps one of them."""
    at = bisect_left(spans, (start, end))
    before, after = list(spans[:at]), list(spans[at:])
    if (before and before[-1][1] > start) or (after and after[0][0] < end):
        raise ValueError(f"{start} to {end} is covered already, at least in part, by {spans}")
    if before and before[-1][1] == start:
        start = before.pop()[0]
    if after and after[0][0] == end:
        end = after.pop(0)[1]
    return [*before, (start, end), *after]


def find_gaps(spans: Sequence[ByteSpan], size: int) -> list[ByteSpan]:
    """What the spans leave uncovered of [0, size)."""
    starts, ends = [0, *(end for _, end in spans)], [*(start for start, _ in spans), size]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
