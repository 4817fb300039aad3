"""The records of the logs beside their projections: a reader decodes nothing that no writer writes."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

import msgspec
import pytest

from penumbra.logs import schema
from penumbra.logs.append_log import encode_json
from penumbra.logs.line_decoding import add_record_fields

PREDICTION_PROJECTIONS = [
    schema.IndexedPrediction,
    schema.ProfiledPrediction,
    schema.ArchivedRow,
    schema.ArchivedPrediction,
    schema.LoggedPrediction,
    schema.LoggedRecord,
    schema.ReviewedPrediction,
    schema.DeferredPrediction,
]
LABEL_PROJECTIONS = [schema.IndexedLabel, schema.LoggedLabel]
PREDICTION = schema.PredictionEntry(
    dt.datetime(2013, 4, 1, tzinfo=dt.UTC), "c", {"dest": "IAH"}, [1.0], 0.4, True, "7", 80, ["r"], True, ["f"], "live"
)
LABEL = schema.LabelEntry(PREDICTION.time, "feedback", {"arr_delay": 5}, ("UA", 1), "x-1")
REFUSAL = schema.RefusalEntry(PREDICTION.time, "c", {"dest": "IAH"}, "closed", "7")


def list_undeclared_fields(projection: type[msgspec.Struct], *records: type[msgspec.Struct]) -> list[str]:
    """The fields of a projection that none of the records has with such a type; `id` is added by the log."""
    written: dict[str, list[Any]] = {"id": [str]}
    for record in records:
        for field in msgspec.structs.fields(record):
            written.setdefault(field.name, []).append(field.type)
    return [
        field.name
        for field in msgspec.structs.fields(projection)
        if not any(can_read(field.type, declared) for declared in written.get(field.name, []))
    ]


def can_read(read: Any, written: Any) -> bool:
    """Whether a projection's type admits what the record's type writes: itself, all of it, undecoded, or optional."""
    if read in (Any, msgspec.Raw, written) or {read, written} == {str, dt.datetime}:
        return True
    if get_origin(written) is Sequence or get_origin(written) is Mapping:
        return get_args(read) == get_args(written)
    return any(can_read(each, written) for each in get_args(read))


@pytest.mark.parametrize("projection", PREDICTION_PROJECTIONS)
def test_the_fields_of_a_predictions_projection_are_some_of_the_records(projection):
    assert list_undeclared_fields(projection, schema.PredictionEntry) == []


def test_what_is_counted_of_rules_is_in_predictions_or_refusals():
    assert list_undeclared_fields(schema.RuleMarks, schema.PredictionEntry, schema.RefusalEntry) == []


@pytest.mark.parametrize("projection", LABEL_PROJECTIONS)
def test_the_fields_of_a_labels_projection_are_some_of_the_labels(projection):
    assert list_undeclared_fields(projection, schema.LabelEntry) == []


def test_a_field_of_another_name_or_type_would_be_found():
    wrong = msgspec.defstruct("Wrong", [("modle", str), ("micros", str), ("rules", list[int]), ("model", str)])
    assert list_undeclared_fields(wrong, schema.PredictionEntry) == ["modle", "micros", "rules"]


def test_every_projection_of_the_module_is_in_these_tests():
    structs = {kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}
    records = {kind for kind in structs if kind.__name__.endswith("Entry") or kind.__name__.startswith("Shadow")}
    assert structs - records == {*PREDICTION_PROJECTIONS, *LABEL_PROJECTIONS, schema.RuleMarks}


@pytest.mark.parametrize(
    ("entry", "projection"),
    [(PREDICTION, kind) for kind in (*PREDICTION_PROJECTIONS, schema.RuleMarks)]
    + [(REFUSAL, schema.RuleMarks), *((LABEL, kind) for kind in LABEL_PROJECTIONS)],
)
def test_every_projection_reads_what_the_log_holds(entry, projection):
    line = encode_json({"id": "x-0", **msgspec.to_builtins(entry)})
    decoded = msgspec.json.decode(encode_json(msgspec.json.decode(line, type=projection)))
    written = msgspec.json.decode(line)
    assert {name: value for name, value in decoded.items() if name in written} == {
        name: written[name] for name in decoded if name in written
    }


def test_some_fields_of_the_record_can_be_added_to_a_projection():
    projection = add_record_fields(schema.ProfiledPrediction, {"dest & more": str | None})
    line = encode_json({"id": "x-0", **msgspec.to_builtins(PREDICTION), "record": {"dest & more": "IAH"}})
    assert msgspec.json.decode(line, type=projection).record.field0 == "IAH"
    with pytest.raises(msgspec.ValidationError, match="record"):
        msgspec.json.decode(b'{"id":"x","time":"t","output":1,"model":"7"}', type=projection)
