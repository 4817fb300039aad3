"""What is read quickly is what pydantic reads: the same records accepted, with equal values of equal types."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import dataframely as dy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from penumbra.core.contract.record_fields import build_model_fields
from penumbra.features import ColumnCheck, NotAbove
from penumbra.logs.append_log import encode_json
from problem import schema
from service.http.requests.fast_parser import FastParser, build_fast_parser
from service.http.requests.record_batch import build_frame, encode_record_lines
from service.http.requests.record_reader import build_record_model


class Odd(dy.Schema):
    """Every type, bound and default that a contract can have and msgspec may read."""

    at = dy.Datetime(time_zone="Europe/Zurich", nullable=False, min=dt.datetime(2013, 1, 1, tzinfo=dt.UTC))
    local = dy.Datetime(nullable=True, max_exclusive=dt.datetime(2020, 1, 1))
    name = dy.String(nullable=True, min_length=1, max_length=3)
    code = dy.String(nullable=True, regex="^[a-z]+$")
    level = dy.Enum(["low", "high"], nullable=True)
    one_of = dy.Int16(nullable=False, is_in=[1, 2, 3])
    yes = dy.Bool(nullable=True)
    small = dy.Int8(nullable=True, min=1, max_exclusive=9)
    long = dy.Int64(nullable=True)
    huge = dy.UInt64(nullable=True)
    single = dy.Float32(nullable=True)
    double = dy.Float64(nullable=True)


class Dated(dy.Schema):
    day = dy.Date(nullable=False)


ODD: dict[str, Any] = {
    "at": "2013-04-01T12:00:00Z",
    "local": "2013-04-01T12:00:00",
    "name": "abc",
    "code": "abc",
    "level": "low",
    "one_of": 2,
    "yes": True,
    "small": 8,
    "long": 5,
    "huge": 5,
    "single": 0.1,
    "double": 0.5,
}
SCHEMAS: dict[str, tuple[Any, Sequence[ColumnCheck], dict[str, Any]]] = {
    "flights": (schema.Row, schema.CHECKS, schema.EXAMPLE),
    "odd": (Odd, (NotAbove("single", "double"),), ODD),
}


def build_parser(row: type[dy.Schema], checks: Sequence[ColumnCheck]) -> FastParser | None:
    dtypes = {name: column.dtype for name, column in row.columns().items()}
    return build_fast_parser(build_model_fields(row), checks, dtypes)


def build_both_parsers(name: str) -> tuple[Any, Any]:
    """The quick way, which knows the example's strings, and pydantic's."""
    row, checks, example = SCHEMAS[name]
    model, made = build_record_model(row, checks, example), build_parser(row, checks)
    assert made is not None
    made.learn(model.model_validate_json(json.dumps(example)).values)
    return made, lambda body: model.model_validate_json(body).values


WAYS = {name: build_both_parsers(name) for name in SCHEMAS}


def compare(name: str, body: bytes) -> bool:
    """Was it read quickly? Fails where pydantic reads it otherwise."""
    made, validate = WAYS[name]
    found = made.parse_one(body)
    if found is not None:
        try:
            expected = validate(body)
        except ValidationError as error:
            raise AssertionError(f"only the quick way accepts {body!r}") from error
        assert {key: (value, type(value)) for key, value in found.items()} == {
            key: (value, type(value)) for key, value in expected.items()
        }
        assert list(found) == list(expected)
    if body.strip():
        require_same_in_list(made.parse_batch(b"[%b]" % body), found)
    return found is not None


def require_same_in_list(listed: Any, alone: Any) -> None:
    """Fails where a record in a list isn't read as it is alone, or its JSON or its row isn't that of the record."""
    assert (listed is None) == (alone is None)
    if listed is not None:
        (record,), (line,) = listed, encode_record_lines(listed)
        assert [(key, value, type(value)) for key, value in record.items()] == [
            (key, value, type(value)) for key, value in alone.items()
        ]
        assert line == encode_json(alone)
        columns = {name: [value] for name, value in alone.items()}
        assert_frame_equal(listed.frame, build_frame(listed.frame.schema, columns))


numbers = st.integers() | st.floats() | st.integers(-10, 10) | st.sampled_from([2**63, 2**64, 2**64 - 1, -(2**63)])
instants = st.datetimes(dt.datetime(2012, 6, 1), dt.datetime(2021, 1, 1)).map(dt.datetime.isoformat)
days = st.dates(dt.date(2012, 6, 1)).map(dt.date.isoformat)
endings = st.sampled_from(
    ["", "Z", "z", "+00:00", "-00:00", "+00:60", "+02:00", "-23:59", "+24:00", "+0200", ".5Z", ".1234567Z", "9Z"]
)
times = st.builds(str.__add__, instants | days, endings) | st.from_regex(
    r"\A20(12|13|19|20)-?(0[1-9]|W14)-?[0-3]?\d[T ](2[0-4]|0\d):?[0-5]\d(:[0-6]\d)?(\.\d{1,8})?(Z|[+-]\d\d:?\d\d)?\Z"
)
strings = (
    st.text(max_size=4) | times | st.sampled_from(["IAH", "IAH\n", "abc", "abc\n", "low", "EWR", "UA", "é", "\ud800"])
)
values = st.none() | st.booleans() | numbers | strings | st.lists(st.none(), max_size=1)


@pytest.mark.parametrize("name", SCHEMAS)
@given(data=st.data())
def test_what_is_read_quickly_is_what_pydantic_reads(name: str, data: Any) -> None:
    example = SCHEMAS[name][2]
    for field in example:
        changed = data.draw(values)
        compare(name, json.dumps({**example, field: changed}).encode())


@pytest.mark.parametrize("name", SCHEMAS)
@given(data=st.data())
def test_numbers_as_they_may_be_written_are_read_as_pydantic_reads_them(name: str, data: Any) -> None:
    written = data.draw(st.from_regex(r"\A-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][+-]?\d{1,3})?\Z"))
    example = SCHEMAS[name][2]
    for field in example:
        pairs = (f'"{key}":{written if key == field else json.dumps(value)}' for key, value in example.items())
        compare(name, ("{" + ",".join(pairs) + "}").encode())


@pytest.mark.parametrize("name", SCHEMAS)
@given(data=st.data())
def test_fields_missing_doubled_or_unknown_are_judged_as_pydantic_judges_them(name: str, data: Any) -> None:
    example = SCHEMAS[name][2]
    keys = data.draw(st.lists(st.sampled_from([*example, *example, "unknown"]), max_size=2 * len(example)))
    written = [(key, data.draw(st.sampled_from([example.get(key), None, 1]))) for key in keys]
    whole = [*example.items(), *written] if data.draw(st.booleans()) else written
    compare(name, ("{" + ",".join(f'"{key}" : {json.dumps(value)}' for key, value in whole) + "}\n").encode())


@given(st.binary())
def test_no_bytes_make_the_quick_way_fail(body: bytes) -> None:
    assert not compare("odd", body)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_example_is_read_quickly(name: str) -> None:
    assert compare(name, json.dumps(SCHEMAS[name][2]).encode())


@pytest.mark.parametrize(
    ("field", "time"),
    [
        ("at", "2013-04-01T12:00:00+02:00"),
        ("at", "2013-04-01T12:00:00.123Z"),
        ("at", "2013-04-01T12:00:00.123456Z"),
        ("local", "2013-04-01"),
    ],
)
def test_usual_ways_to_write_a_time_are_read_quickly(field: str, time: str) -> None:
    assert compare("odd", json.dumps({**ODD, field: time}).encode())


def test_a_string_with_a_pattern_is_read_quickly_from_the_second_time_on() -> None:
    made, validate = build_both_parsers("flights")
    body = json.dumps({**schema.EXAMPLE, "dest": "LAX"}).encode()
    assert made.parse_one(body) is None
    made.learn(validate(body))
    assert made.parse_one(body) == validate(body)


def test_a_list_is_read_as_its_records_are() -> None:
    made, validate = WAYS["flights"]
    body = json.dumps(schema.EXAMPLE).encode()
    assert list(made.parse_batch(b"[%b,%b]" % (body, body))) == [validate(body)] * 2
    assert made.parse_batch(b"[%b,{}]" % body) is None


def test_equal_times_in_a_list_keep_the_zones_that_they_came_with() -> None:
    made, validate = WAYS["odd"]
    bodies = [json.dumps({**ODD, "at": f"2013-04-01T{hour}"}).encode() for hour in ("12:00:00Z", "14:00:00+02:00")]
    parsed = made.parse_batch(b"[%b]" % b",".join([*bodies, bodies[0]]))
    expected = [validate(body)["at"].isoformat() for body in [*bodies, bodies[0]]]
    assert [record["at"].isoformat() for record in parsed] == expected
    assert parsed.frame["at"].n_unique() == 1


def test_a_list_is_read_quickly_up_to_the_first_record_that_is_not_plainly_valid() -> None:
    made, _ = WAYS["odd"]
    body, wrong = json.dumps(ODD).encode(), json.dumps({**ODD, "single": 0.6}).encode()
    assert list(made.parse_batch(b"[]")) == []
    assert made.parse_batch(b"[%b,%b]" % (body, wrong)) is None


def test_what_msgspec_may_read_otherwise_is_left_to_pydantic() -> None:
    assert build_parser(Dated, ()) is None
