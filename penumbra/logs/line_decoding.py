"""Decoding of many lines of a log at a time.

Measured on lines of 565 bytes: a decoder of msgspec takes half the processor time of a reader that parses JSON straight
into columns (pyarrow's, and polars' a third), as it builds nothing of the fields that aren't asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from penumbra.logs.append_log import has_valid_checksum, is_line_whole


def blank_damaged_lines(lines: Sequence[bytes]) -> Sequence[bytes]:
    """Replace lines that aren't what was written.

    Args:
        lines: Lines of a log, without their ends.

    Returns:
        The lines, empty where a byte of one has changed.
    """
    if all(map(has_valid_checksum, lines)):
        return lines
    return [line if is_line_whole(line) else b"" for line in lines]


def decode_each_line(decoder: Any, lines: Iterable[bytes]) -> Iterator[Any]:
    """Decode lines of a log one by one: new memory for what all of them say would take longer than decoding.

    Args:
        decoder: A decoder of msgspec, of JSON.
        lines: The lines, as `blank_damaged_lines` returns them.

    Yields:
        What each line says; None where it can't be read.
    """
    decode = decoder.decode
    for line in lines:
        try:
            yield decode(line)
        except (msgspec.MsgspecError, ValueError):
            yield None
