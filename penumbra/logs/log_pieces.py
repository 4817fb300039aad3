"""Pieces of a log's segments, many small ones at a time: a transaction for each would cost more than its lines."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from penumbra.logs.append_log import CHUNK_BYTES


class LogPiece(NamedTuple):
    """Whole lines of a segment from a position on; `is_end` where nothing follows in a segment that can't grow."""

    segment: str
    position: int
    content: bytes
    is_end: bool = False


def group_pieces(pieces: Iterable[LogPiece]) -> Iterator[list[LogPiece]]:
    """Group pieces so that each group but the last has some megabytes, or more.

    Args:
        pieces: The pieces, those of a segment one after the other.

    Yields:
        Groups of at least one piece.
    """
    group, size = list[LogPiece](), 0
    for piece in pieces:
        group.append(piece)
        size += len(piece.content)
        if size >= CHUNK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
