"""Parsers from lines of the logs to rows of the index. A line that can't be read is left out."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import msgspec

from penumbra.logs.append_log import encode_json
from penumbra.logs.keys import KeyEncoder
from penumbra.logs.labels import LabelSpec, is_source_of_truth
from penumbra.logs.line_decoding import blank_damaged_lines, decode_each_line
from penumbra.logs.schema import (
    REVIEW_SOURCE,
    IndexedLabel,
    IndexedPrediction,
    LoggedRecord,
    ShadowRow,
    add_record_fields,
)
from penumbra.logs.shadow.shadow_log import is_shadow_row

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
    decoder: Any = msgspec.json.Decoder(
        add_record_fields(IndexedPrediction, dict.fromkeys([*label_spec.key, label_spec.time], msgspec.Raw), gc=False)
    )
    width, encode_key = len(label_spec.key), KeyEncoder(label_spec.key).encode_json_values
    clock = (*label_spec.key, label_spec.time).index(label_spec.time)

    def make_row(entry: Any) -> IndexRow:
        values, time = msgspec.structs.astuple(entry.record), entry.time.timestamp()
        key = encode_key(values[:width]) if width else entry.id
        event = _parse_epoch_seconds(bytes(values[clock]))
        output = encode_json(entry.output).decode() if isinstance(entry.output, list) else entry.output
        alone = not (entry.rules or entry.failed_rules or entry.fallback)
        return entry.id, key, time, time if event is None else event, entry.model, output, entry.decision, alone

    return lambda lines: list(_convert_each(decode_each_line(decoder, blank_damaged_lines(lines)), make_row))


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
    decode_outcome = msgspec.json.Decoder(dict[str, Any]).decode
    elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
    encode_key = KeyEncoder(label_spec.key).encode_json_values

    def read(label: IndexedLabel, outcomes: dict[str, dict[str, Any]]) -> IndexRow:
        _require_source_of_truth(label)
        value, (segment, _, position) = bytes(label.label).decode(), label.id.partition("-")
        if value not in outcomes:
            outcomes[value] = decode_outcome(value)
        key = encode_key(elements(label.key)) if bytes(label.key) else ""
        rank = int(label.source != REVIEW_SOURCE)
        return key, rank, label.time.timestamp(), segment, int(position, 16), label.prediction, value, label

    def facts(lines: Sequence[bytes]) -> list[IndexRow]:
        outcomes: dict[str, dict[str, Any]] = {}  # many labels say the same
        labels = decode_each_line(_label_decoder, blank_damaged_lines(lines))
        found = list(_convert_each(labels, partial(read, outcomes=outcomes)))
        targets = map(_encode_target, label_spec.compute_targets([*outcomes.values()]))
        by_value = dict(zip(outcomes, targets, strict=True))
        return [(*row, by_value[row[-1]], label.source, label.probability) for *row, label in found]

    return facts


def parse_shadow_lines(lines: Sequence[bytes]) -> list[IndexRow]:
    """Parse lines of the shadow log.

    Args:
        lines: The lines, without their ends.

    Returns:
        A row (prediction, model, time, output, decision, status, reason) for each `ShadowRow`; an empty one for other
        lines.
    """
    whole = [line for line in blank_damaged_lines(lines) if line]
    rows = [line for line in whole if is_shadow_row(line)]
    made = _convert_each(decode_each_line(_shadow_row_decoder, rows), _make_shadow_row)
    return [*made, *[()] * (len(whole) - len(rows))]


def _make_shadow_row(row: ShadowRow) -> IndexRow:
    output = encode_json(row.output).decode() if isinstance(row.output, list) else row.output
    return row.prediction, row.model, row.time.timestamp(), output, row.decision, row.status, row.reason


_decode_record_line = msgspec.json.Decoder(LoggedRecord).decode
_label_decoder, _shadow_row_decoder = msgspec.json.Decoder(IndexedLabel), msgspec.json.Decoder(ShadowRow)


def _require_source_of_truth(label: IndexedLabel) -> None:
    if not is_source_of_truth(label.source):
        raise ValueError(f"label {label.id} is of the source {label.source!r}, which can't know the truth")


def _convert_each(entries: Iterable[Any], convert: Callable[[Any], Any]) -> Iterator[Any]:
    """Convert what was read, without entries of which a part can't be read."""
    for entry in entries:
        try:
            if entry is not None:
                yield convert(entry)
        except (msgspec.MsgspecError, ValueError):
            continue


def _encode_target(target: Any) -> str | None:
    return None if target is None else encode_json(target).decode()


@lru_cache(maxsize=1 << 14)  # neighbouring rows have the same hour, or day
def _parse_epoch_seconds(json: bytes) -> float | None:
    """An instant or a date in JSON, in UTC where it names no offset; None for null."""
    if json == b"null":
        return None
    moment = dt.datetime.fromisoformat(json[1:-1].decode())
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
