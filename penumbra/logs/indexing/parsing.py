"""Parsers from lines of the logs to rows of the index. A line that can't be read is left out."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from penumbra.logs.append_log import encode_json
from penumbra.logs.keys import KeyEncoder
from penumbra.logs.labels import LabelSpec, is_source_of_truth
from penumbra.logs.line_decoding import add_record_fields, blank_damaged_lines, decode_each_line
from penumbra.logs.schema import (
    REVIEW_SOURCE,
    IndexedLabel,
    IndexedPrediction,
    ShadowRow,
)
from penumbra.logs.shadow.shadow_log import is_shadow_row

LAST_MOMENT = dt.datetime(9999, 12, 31, 23, 59, 59, 999_000, dt.UTC).timestamp()  # SQLite's dates are in milliseconds
IndexRow = tuple[Any, ...]


def make_prediction_parser(label_spec: LabelSpec) -> Callable[[Sequence[bytes]], list[IndexRow]]:
    """Make a parser of lines of the prediction log.

    Args:
        label_spec: Which columns of the record are key and time.

    Returns:
        A function from lines to rows (id, key, time, event, model, output, decision, alone, line): times in seconds
        since 1970, a list of probabilities as JSON, truth values as 1 and 0, `alone` 1 where neither a rule nor another
        model had a part in the answer, and the line itself.
    """
    fields = {**dict.fromkeys(label_spec.key, msgspec.Raw), label_spec.time: str | None}
    decode = msgspec.json.Decoder(add_record_fields(IndexedPrediction, fields)).decode
    width, encode_key = len(label_spec.key), KeyEncoder(label_spec.key).encode_json_values
    clock = list(fields).index(label_spec.time)

    def make_row(line: bytes) -> IndexRow:
        entry = decode(line)
        values, time = list(msgspec.structs.astuple(entry.record)), entry.time.timestamp()
        values[clock], event = _read_moment(values[clock])
        key = encode_key(values[:width]) if width else entry.id
        output, decision = _to_column(entry.output), _to_column(entry.decision)
        alone = int(not (entry.rules or entry.failed_rules or entry.fallback))
        moment = time if event is None else event
        return entry.id, key, time, moment, entry.model, output, decision, alone, line

    return lambda lines: list(_convert_each(blank_damaged_lines(lines), make_row))


def make_label_parser(label_spec: LabelSpec) -> Callable[[Sequence[bytes]], list[IndexRow]]:
    """Make a parser of lines of the label log, which leaves out labels of a source that can't know the truth.

    Args:
        label_spec: The outcome columns, and the target that they make.

    Returns:
        A function from lines to rows (key, rank, time, segment, position, prediction, value, target, source,
        probability). The key is "" where only a prediction's id was given; the rank is 0 of labels of people, which all
        others outrank, and 1 of those; value and target are JSON, the target None where there was no outcome.
    """
    elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
    encode_key = KeyEncoder(label_spec.key).encode_json_values

    def make_row(read: tuple[IndexedLabel, tuple[str, str | None]]) -> IndexRow:
        label, said = read
        segment, _, position = label.id.partition("-")
        key = encode_key(elements(label.key)) if label.key else ""
        rank, time = int(label.source != REVIEW_SOURCE), label.time.timestamp()
        return key, rank, time, segment, int(position, 16), label.prediction, *said, label.source, label.probability

    def parse(lines: Sequence[bytes]) -> list[IndexRow]:
        labels = [
            label
            for label in decode_each_line(_label_decoder, blank_damaged_lines(lines))
            if label and is_source_of_truth(label.source)
        ]
        values = [bytes(label.label) for label in labels]
        outcomes = dict(_convert_each(set(values), lambda value: (value, _decode_outcome(value))))  # many say the same
        targets = map(_encode_target, label_spec.compute_targets([*outcomes.values()]))
        said = {value: (value.decode(), target) for value, target in zip(outcomes, targets, strict=True)}
        readable = [(label, said[value]) for label, value in zip(labels, values, strict=True) if value in said]
        return list(_convert_each(readable, make_row))

    return parse


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
    output, decision = _to_column(row.output), _to_column(row.decision)
    return row.prediction, row.model, row.time.timestamp(), output, decision, row.status, row.reason


def _to_column(value: Any) -> Any:
    """An output or a decision as the tables have it."""
    if isinstance(value, list):
        return encode_json(value).decode()
    return int(value) if isinstance(value, bool) else value  # as for bytes, sqlite3 looks for an adapter of a bool


_label_decoder, _shadow_row_decoder = msgspec.json.Decoder(IndexedLabel), msgspec.json.Decoder(ShadowRow)
_decode_outcome = msgspec.json.Decoder(dict[str, Any]).decode


def _convert_each(entries: Iterable[Any], convert: Callable[[Any], Any]) -> Iterator[Any]:
    """Convert lines, or what was read of them, without those of which a part can't be read."""
    for entry in entries:
        try:
            if entry is not None:
                yield convert(entry)
        except (msgspec.MsgspecError, ValueError):
            continue


def _encode_target(target: Any) -> str | None:
    return None if target is None else encode_json(target).decode()


@lru_cache(maxsize=1 << 14)  # neighbouring rows have the same hour, or day
def _read_moment(text: str | None) -> tuple[bytes, float | None]:
    """The JSON of an instant or a date, and its seconds: in UTC where it names no offset, never rounded to the year
    10000; None for null.
    """
    if text is None:
        return b"null", None
    moment = dt.datetime.fromisoformat(text)
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    return encode_json(text), min(seconds, LAST_MOMENT)
