import json
import math
from collections.abc import Callable
from typing import Any

import dataframely as dy
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from penumbra.features import NotAbove
from penumbra.logs.append_log import encode_json
from problem import schema
from service.http.refusals import RequestRefused
from service.http.requests.record_batch import RecordBatch, encode_record_lines
from service.http.requests.record_reader import Contract

FLIGHTS = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1000)


class Reading(dy.Schema):
    at = dy.Datetime(time_zone="Europe/Zurich", nullable=False)
    local = dy.Datetime(nullable=True)
    low = dy.Float32(nullable=True)
    high = dy.Int8(nullable=True)


class Timed(dy.Schema):
    day = dy.Date(nullable=True)
    clock = dy.Time(nullable=True)
    local = dy.Datetime(nullable=True)
    instant = dy.Datetime(nullable=True, time_zone="UTC")
    lasts = dy.Duration(nullable=True)
    raw = dy.Binary(nullable=True)


class Named(dy.Schema):
    name = dy.String(nullable=False)


GIVEN = {"at": "2013-04-01T12:00:00Z", "local": "2013-04-01T12:00:00", "low": 0.5, "high": 1}
TIMED = Contract(Timed, (), {}, max_records=1)
READINGS = Contract(Reading, (NotAbove("low", "high"),), GIVEN, max_records=3)


def parse_and_catch_refusal(contract: Contract, body: Any) -> RequestRefused:
    read: Callable[[bytes], Any] = contract.parse_batch if isinstance(body, list) else contract.parse_one
    with pytest.raises(RequestRefused) as caught:
        read(json.dumps(body).encode())
    return caught.value


def list_faults(contract: Contract, **changes: Any) -> Any:
    return parse_and_catch_refusal(contract, {**contract.example, **changes}).details


def test_the_example_keeps_the_contract() -> None:
    assert FLIGHTS.parse_one(json.dumps(schema.EXAMPLE).encode())["dest"] == "IAH"


def test_instants_are_kept_in_the_zone_of_their_column() -> None:
    assert READINGS.parse_one(json.dumps(GIVEN).encode())["at"].isoformat() == "2013-04-01T14:00:00+02:00"


def test_numbers_are_rounded_to_their_column() -> None:
    assert (
        READINGS.parse_one(json.dumps({**GIVEN, "low": 0.1}).encode())["low"] == pl.Series([0.1], dtype=pl.Float32)[0]
    )


def test_a_nullable_field_may_be_left_out() -> None:
    record = READINGS.parse_one(b'{"at": "2013-04-01T12:00:00Z"}')
    assert (record["local"], record["low"], record["high"]) == (None, None, None)


def test_a_field_that_is_not_nullable_must_be_there() -> None:
    without = {name: value for name, value in GIVEN.items() if name != "at"}
    assert parse_and_catch_refusal(READINGS, without).details == [
        {"field": "at", "expected": "a value: the field is required"}
    ]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("carrier", "ZZ", "'9E', 'AA'"),
        ("carrier", 1, "'9E', 'AA'"),
        ("temp", "55", "a valid number"),
        ("temp", True, "a valid number"),
        ("temp", math.nan, "a finite number"),
        ("temp", -math.inf, "a finite number"),
        ("temp", 141, "less than or equal to 140"),
        ("flight", 1.5, "a valid integer"),
        ("flight", "1545", "a valid integer"),
        ("flight", 10**40, "less than or equal to 9999"),
        ("dest", "IAH\n", "String should match pattern"),
        ("dest", None, "a valid string"),
        ("time_hour", "2013-04-01T21:00:00", "offset from UTC"),
        ("time_hour", 1364850000, "offset from UTC, such as 2024-04-01T21:00:00Z"),
        ("time_hour", "9999-12-31T23:59:59-14:00", "less than or equal to 2099"),
        ("sched_dep_time", 1799, "minutes below 60"),
        ("dewp", 90.0, "dewp is at most temp"),
        ("tmep", 55.4, "no field of this name"),
    ],
)
def test_a_refusal_names_field_value_and_what_was_expected(field: str, value: Any, expected: str) -> None:
    (fault,) = list_faults(FLIGHTS, **{field: value})
    assert fault["field"] == field
    assert expected in fault["expected"]
    assert fault["value"] == repr(value)


@pytest.mark.parametrize(
    ("field", "values", "form"),
    [
        ("day", ["2024-02-30", 3], "YYYY-MM-DD"),
        ("clock", ["25:00", "noon", 3], "12:30:00"),
        ("local", ["2024-02-30", "2024-02-30T12:00", "20240301", 3], "2024-04-01T21:00:00"),
        ("instant", ["2024-03-01", "2024-03-01T25:00:00Z", "2024-03-01T12:00", 3], "2024-04-01T21:00:00"),
        ("lasts", ["an hour", 3], "PT1H30M"),
        ("raw", ["?", 3], "Base64, such as AP8="),
    ],
)
def test_where_a_value_has_a_form_the_refusal_names_it(field: str, values: list[Any], form: str) -> None:
    for value in values:
        assert form in list_faults(TIMED, **{field: value})[0]["expected"]


def test_all_broken_checks_are_named_together() -> None:
    broken = list_faults(FLIGHTS, sched_dep_time=1799, sched_arr_time=1799, dewp=90)
    assert [fault["field"] for fault in broken] == ["sched_dep_time", "sched_arr_time", "dewp"]


def test_an_instant_where_the_column_has_no_zone_is_refused() -> None:
    assert "without an offset" in list_faults(READINGS, local="2013-04-01T12:00:00Z")[0]["expected"]


def test_the_value_shown_is_cut() -> None:
    assert len(list_faults(FLIGHTS, dest="x" * 1000)[0]["value"]) == 100


def test_one_bad_record_refuses_the_list_and_is_named_by_its_index() -> None:
    refusal = parse_and_catch_refusal(READINGS, [GIVEN, {**GIVEN, "high": None, "low": "x"}, GIVEN])
    assert refusal.status == 422
    assert refusal.details == [{"index": 1, "field": "low", "value": "'x'", "expected": "a valid number"}]


def test_faults_beyond_the_first_hundred_are_counted() -> None:
    refusal = parse_and_catch_refusal(FLIGHTS, [{}] * 50)
    assert len(refusal.details) == 100
    assert "50 of 50 records break the contract (400 faults; listed are 100 of them)" in str(refusal)


def test_a_record_of_countless_unknown_fields_is_refused_without_listing_them() -> None:
    refusal = parse_and_catch_refusal(READINGS, {**GIVEN, **{f"x{number}": 1 for number in range(5000)}})
    assert refusal.status == 422
    assert refusal.details == []


@pytest.mark.parametrize("body", [b"[]", b"[ ]"])
def test_an_empty_list_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefused, match="at least one") as caught:
        READINGS.parse_batch(body)
    assert caught.value.status == 422


@pytest.mark.parametrize("records", [[GIVEN] * 4, [*[GIVEN] * 3, {}], [1] * 4], ids=["valid", "broken", "no records"])
def test_more_records_than_accepted_are_refused_before_any_is_parsed(
    monkeypatch: pytest.MonkeyPatch, records: list[Any]
) -> None:
    parsed: list[Any] = []
    monkeypatch.setattr(NotAbove, "scalar", lambda check, record: parsed.append(record) is None)
    readings = Contract(Reading, (NotAbove("low", "high"),), GIVEN, max_records=3)
    assert parse_and_catch_refusal(readings, records).status == 413
    assert not parsed


def test_a_brace_in_a_text_is_no_record() -> None:
    named = Contract(Named, (), {"name": "{{{{"}, max_records=3)
    assert list(named.parse_batch(b'[{"name": "{{{{"}]')) == [{"name": "{{{{"}]


@pytest.mark.parametrize("body", [b"[{}", b"[1,]", b"[" * 5000, b'[{"low": NaN}]', b'[{"a": "\xff"}]', b"[]x"])
def test_a_list_that_is_not_json_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(RequestRefused, match="not valid JSON") as caught:
        READINGS.parse_batch(body)
    assert caught.value.status == 400


def test_a_list_of_lists_is_refused_by_index() -> None:
    assert parse_and_catch_refusal(READINGS, [[GIVEN]]).details[0]["index"] == 0


@given(st.binary())
def test_any_bytes_are_refused_with_json(body: bytes) -> None:
    for read in (FLIGHTS.parse_one, FLIGHTS.parse_batch):
        with pytest.raises(RequestRefused) as caught:
            read(body)  # type: ignore[operator]
        assert json.loads(caught.value.encode_body())["error"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(schema.EXAMPLE)), json_values, min_size=1))
def test_any_json_in_the_fields_is_accepted_or_refused_with_json(changes: dict[str, Any]) -> None:
    body = json.dumps({**schema.EXAMPLE, **changes}).encode()
    try:
        expected_body = b'{"error": "none"}' if len(FLIGHTS.to_frame([FLIGHTS.parse_one(body)])) else b"null"
    except RequestRefused as refusal:
        expected_body = refusal.encode_body()
    assert json.loads(expected_body)["error"]


def test_the_version_changes_with_what_is_accepted_and_only_then() -> None:
    same = Contract(Reading, (NotAbove("low", "high"),), {}, max_records=1)
    other = Contract(Reading, (), GIVEN, max_records=3)
    assert READINGS.version == same.version != other.version


def test_a_list_has_the_frame_that_its_records_have() -> None:
    odd = {**schema.EXAMPLE, "temp": None, "time_hour": "2013-07-01T00:00:00.000001Z"}
    listed = FLIGHTS.parse_batch(json.dumps([schema.EXAMPLE, odd]).encode())
    frame = FLIGHTS.to_frame(list(listed))
    assert_frame_equal(FLIGHTS.to_frame(listed), frame)
    assert_frame_equal(FLIGHTS.to_frame(RecordBatch(frame.to_dicts(), frame)), frame)
    assert_frame_equal(FLIGHTS.to_frame(listed[1:]), frame[1:])


def test_records_that_are_selected_of_a_list_have_their_rows() -> None:
    bodies = [json.dumps({**schema.EXAMPLE, "distance": distance}).encode() for distance in (100, 200, 300)]
    FLIGHTS.parse_one(bodies[0])
    listed = FLIGHTS.parse_batch(b"[%b]" % b",".join(bodies))
    assert isinstance(listed, RecordBatch)
    selected = listed.select([2, 0])
    assert [record["distance"] for record in selected] == selected.frame["distance"].to_list() == [300, 100]
    assert encode_record_lines(selected) == [encode_json(FLIGHTS.parse_one(body)) for body in (bodies[2], bodies[0])]


def test_a_frame_has_the_dtypes_of_the_contract() -> None:
    frame = FLIGHTS.to_frame([FLIGHTS.parse_one(json.dumps(schema.EXAMPLE).encode())])
    assert schema.Row.is_valid(frame)
