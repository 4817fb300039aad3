"""Pieces of a log's segments, many small ones at a time: a transaction for each would cost more than its lines."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from penumbra.logs.append_log import CHUNK_BYTES

DECODED_BYTES = 1 << 20


class LogPiece(NamedTuple):
    """Whole lines of a segment from a position on; `is_end` where nothing follows in a segment that can't grow."""

    segment: str
    position: int
    content: bytes
    is_end: bool = False


def cut_lines(content: bytes, position: int = 0, size: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Cut lines into pieces of some megabytes: new memory for all of a large segment takes longer than what is read.

    Args:
        content: Whole lines with their ends.
        position: Where the first one begins that is wanted, in bytes.
        size: How many bytes a piece has at least, but for the last; None for some megabytes.

    Yields:
        The position of each piece, and its lines.
    """
    while position < len(content):
        end = content.find(b"\n", position + (size or CHUNK_BYTES)) + 1 or len(content)
        yield position, content[position:end]
        position = end


def iterate_lines(content: bytes) -> Iterator[list[bytes]]:
    """Split lines that are to be decoded, as many at a time as the processor's cache holds with what is made of them.

    Args:
        content: Whole lines with their ends.

    Yields:
        Lines without their ends.
    """
    for _, piece in cut_lines(content, size=DECODED_BYTES):
        yield piece.split(b"\n")[:-1]


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
