"""Parsers from lines of the logs to rows of the index. A line that can't be read is left out."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from penumbra.logs.append_log import encode_json, is_line_whole
from penumbra.logs.keys import KeyEncoder
from penumbra.logs.labels import LabelSpec, is_source_of_truth
from penumbra.logs.schema import (
    REVIEW_SOURCE,
    IndexedLabel,
    IndexedPrediction,
    LoggedRecord,
    ShadowRow,
    add_record_fields,
)
from penumbra.logs.shadow_log import is_shadow_row

IndexRow = tuple[Any, ...]


def make_prediction_parser(label_spec: LabelSpec) -> Callable[[Sequence[bytes]], list[IndexRow]]:
    """Make a parser of lines of the prediction log.

    Args:
        label_spec: Which columns of the record are key and time.

    Returns:
        A function from lines to rows (id, key, time, event, model, output, decision, alone): times in seconds since
        1970, a list of probabilities as JSON, `alone` True where neither a rule nor another model had a part in the
        answer.
    """
    decode = msgspec.json.Decoder(
        add_record_fields(IndexedPrediction, dict.fromkeys([*label_spec.key, label_spec.time], msgspec.Raw))
    ).decode
    width, encode_key = len(label_spec.key), KeyEncoder(label_spec.key).encode_json_values
    clock = (*label_spec.key, label_spec.time).index(label_spec.time)

    def fact(line: bytes) -> IndexRow:
        entry = decode(line)
        values = msgspec.structs.astuple(entry.record)
        key = encode_key(values[:width]) if width else entry.id
        event = _to_epoch_seconds(bytes(values[clock]), entry.time)
        output = encode_json(entry.output).decode() if isinstance(entry.output, list) else entry.output
        alone = not (entry.rules or entry.failed_rules or entry.fallback)
        return entry.id, key, entry.time.timestamp(), event, entry.model, output, entry.decision, alone

    return lambda lines: list(_skip_unreadable(lines, fact))


def extract_record(content: bytes, name: str, start: int) -> bytes | None:
    """Extract the record of one prediction from lines of the log.

    Args:
        content: Lines of a segment.
        name: The prediction's id, which ends with the position of its line.
        start: The position of the first line in the segment.

    Returns:
        The record as JSON; None where another line, or none, is at that position.
    """
    try:
        position = int(name.partition("-")[2], 16) - start
        found = _decode_record_line(content[position : content.index(b"\n", position)])
    except (msgspec.MsgspecError, ValueError):
        return None
    return bytes(found.record) if found.id == name else None


def make_label_parser(label_spec: LabelSpec) -> Callable[[Sequence[bytes]], list[IndexRow]]:
    """Make a parser of lines of the label log, which leaves out labels of a source that can't know the truth.

    Args:
        label_spec: The outcome columns, and the target that they make.

    Returns:
        A function from lines to rows (key, rank, time, segment, position, prediction, value, target, source,
        probability). The key is "" where only a prediction's id was given; the rank is 0 of labels of people, which all
        others outrank, and 1 of those; value and target are JSON, the target None where there was no outcome.
    """
    decode = msgspec.json.Decoder(IndexedLabel).decode
    outcome, elements = msgspec.json.Decoder(dict[str, Any]).decode, msgspec.json.Decoder(list[msgspec.Raw]).decode
    encode_key = KeyEncoder(label_spec.key).encode_json_values

    def read(line: bytes) -> tuple[IndexedLabel, IndexRow, dict[str, Any]]:
        label = decode(line)
        _require_source_of_truth(label)
        segment, _, position = label.id.partition("-")
        key = encode_key(elements(label.key)) if bytes(label.key) else ""
        rank = int(label.source != REVIEW_SOURCE)
        where = key, rank, label.time.timestamp(), segment, int(position, 16), label.prediction
        return label, where, outcome(label.label)

    def facts(lines: Sequence[bytes]) -> list[IndexRow]:
        found = list(_skip_unreadable(lines, read))
        targets = label_spec.compute_targets([values for *_, values in found]).to_list()
        return [
            (*where, _decode_raw(label.label), _encode_target(target), label.source, label.probability)
            for (label, where, _), target in zip(found, targets, strict=True)
        ]

    return facts


def decode_each_line(decoder: Any, content: bytes) -> list[Any]:
    """Decode lines of a log, all at once where that is possible.

    Args:
        decoder: A decoder of msgspec, of JSON.
        content: Whole lines with their ends.

    Returns:
        What each line says; None where it can't be read or isn't what was written.
    """
    lines = content.split(b"\n")[:-1]
    if not all(map(is_line_whole, lines)):
        return [_decode_or_none(decoder, line) for line in lines]
    try:
        each = list(decoder.decode_lines(content))
    except (msgspec.MsgspecError, ValueError):
        each = []
    return each if len(each) == len(lines) else [_decode_or_none(decoder, line) for line in lines]


def parse_shadow_lines(lines: Sequence[bytes]) -> list[IndexRow]:
    """Parse lines of the shadow log.

    Args:
        lines: The lines, without their ends.

    Returns:
        A row (prediction, model, time, output, decision, status, reason) for each `ShadowRow`; an empty one for other
        lines.
    """

    def fact(line: bytes) -> IndexRow:
        if not is_shadow_row(line):
            return ()
        row = _decode_shadow_row(line)
        output = encode_json(row.output).decode() if isinstance(row.output, list) else row.output
        return row.prediction, row.model, row.time.timestamp(), output, row.decision, row.status, row.reason

    return list(_skip_unreadable(lines, fact))


_decode_record_line = msgspec.json.Decoder(LoggedRecord).decode
_decode_shadow_row = msgspec.json.Decoder(ShadowRow).decode


def _require_source_of_truth(label: IndexedLabel) -> None:
    if not is_source_of_truth(label.source):
        raise ValueError(f"label {label.id} is of the source {label.source!r}, which can't know the truth")


def _skip_unreadable(lines: Iterable[bytes], read: Callable[[bytes], Any]) -> Iterator[Any]:
    for line in lines:
        if not is_line_whole(line):
            continue
        try:
            yield read(line)
        except (msgspec.MsgspecError, ValueError):
            continue


def _decode_or_none(decoder: Any, line: bytes) -> Any:
    try:
        return decoder.decode(line) if is_line_whole(line) else None
    except (msgspec.MsgspecError, ValueError):
        return None


def _encode_target(target: Any) -> str | None:
    return None if target is None else encode_json(target).decode()


def _decode_raw(json: msgspec.Raw) -> str:
    return bytes(json).decode()


def _to_epoch_seconds(json: bytes, otherwise: dt.datetime) -> float:
    """An instant or a date in JSON (UTC where it names no offset), or `otherwise` for null."""
    if json == b"null":
        return otherwise.timestamp()
    moment = dt.datetime.fromisoformat(json[1:-1].decode())
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
