"""Decoding of many lines of a log at a time.

Measured on lines of 565 bytes: a decoder of msgspec takes half the processor time of a reader that parses JSON straight
into columns (pyarrow's, and polars' a third), as it builds nothing of the fields that aren't asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from penumbra.logs.append_log import CHECK_BYTES, CHECK_FORMAT, decode_entry, is_line_whole, read_lines

_cut_body, _cut_check = itemgetter(slice(None, -CHECK_BYTES)), itemgetter(slice(-CHECK_BYTES, None))


def blank_damaged_lines(lines: Sequence[bytes]) -> Sequence[bytes]:
    """Replace lines that aren't what was written; the checksums of all are compared at once, in a sixth less time.

    Args:
        lines: Lines of a log, without their ends.

    Returns:
        The lines, empty where a byte of one has changed.
    """
    checksums = tuple(map(crc32, map(_cut_body, lines)))
    if b"".join(map(_cut_check, lines)) == CHECK_FORMAT * len(lines) % checksums:
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


def add_record_fields(
    projection: type[msgspec.Struct], fields: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> type[Any]:
    """Derive a projection that also decodes some fields of the logged record.

    Args:
        projection: `ProfiledPrediction`, `ArchivedRow` or `ReviewedPrediction` (penumbra/logs/schema.py).
        fields: As in `define_record`.
        optional: As in `define_record`.

    Returns:
        A subclass with the required field `record`, a struct as `define_record` returns it.
    """
    record = define_record(fields, optional)
    return msgspec.defstruct(projection.__name__, [("record", record)], bases=(projection,), kw_only=True)


def define_record(fields: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> type[msgspec.Struct]:
    """Define a struct of some fields of the logged record, which the garbage collector doesn't track.

    Args:
        fields: Names of the contract's columns with the types to decode them to; a type that admits None is still
            required in the line.
        optional: Such names and types of columns that a line may lack, as the contract didn't have them when it was
            written; they are None then.

    Returns:
        A struct with the attributes `field0`, `field1`, … in the order of `fields` and then `optional`, as names of
        columns needn't be identifiers.
    """
    optional = optional or {}
    members = {f"field{n}": name for n, name in enumerate([*fields, *optional])}
    types = [*((kind,) for kind in fields.values()), *((kind | None, None) for kind in optional.values())]
    definitions = [(member, *kind) for member, kind in zip(members, types, strict=True)]
    return msgspec.defstruct("Record", definitions, rename=members, gc=False)


def find_damaged_lines(path: Path) -> list[int]:
    """Find the lines of a segment that aren't what was written.

    Args:
        path: The segment.

    Returns:
        The position of each in bytes; a last line that has no end yet isn't looked at.

    Raises:
        FileNotFoundError: Where the segment was deleted.
    """
    damaged, position = [], 0
    for line in read_lines(path):
        if not (is_line_whole(line) and _is_json(line)):
            damaged.append(position)
        position += len(line)
    return damaged


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(decode_entry(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
