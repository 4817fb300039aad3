"""Text and frames of any dtype become the contract's dtypes: the same values as over HTTP, and none is changed."""

import datetime as dt
import decimal
import json
import math

import dataframely as dy
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penumbra.data.partitions.conversion import convert_column, describe_dtype
from penumbra.logs.append_log import encode_json
from service.http.requests.record_reader import build_record_model

UTC, NEW_YORK = pl.Datetime("us", "UTC"), pl.Datetime("us", "America/New_York")
MONEY = pl.Decimal(12, 2)
NOON = dt.datetime(2024, 3, 1, 12)


def read(text, dtype):
    return convert_column(pl.Series([text], dtype=pl.String), dtype).to_list()[0]


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("19", pl.Int16(), 19),
        (" 7 ", pl.Int16(), 7),
        ("19.0", pl.Int16(), 19),
        ("1e3", pl.Int16(), 1000),
        ("+7", pl.Int16(), 7),
        ("007", pl.Int16(), 7),
        ("-0", pl.UInt8(), 0),
        ("9007199254740993", pl.Int64(), 9007199254740993),
        ("18446744073709551615", pl.UInt64(), 18446744073709551615),
        (".5", pl.Float64(), 0.5),
        ("1e3", pl.Float64(), 1000.0),
        ("true", pl.Boolean(), True),
        ("FALSE", pl.Boolean(), False),
        ("Yes", pl.Boolean(), True),
        ("0", pl.Boolean(), False),
        ("2024-02-29", pl.Date(), dt.date(2024, 2, 29)),
        ("12:30", pl.Time(), dt.time(12, 30)),
        ("12:30:00.25", pl.Time(), dt.time(12, 30, 0, 250_000)),
        ("2024-03-01T12:00:00", pl.Datetime(), NOON),
        ("2024-03-01 12:00", pl.Datetime(), NOON),
        ("2024-03-01", pl.Datetime(), NOON.replace(hour=0)),
        ("2024-03-01T12:00:00Z", UTC, NOON.replace(tzinfo=dt.UTC)),
        ("2024-03-01T13:00:00.000000+01:00", UTC, NOON.replace(tzinfo=dt.UTC)),
        ("2024-03-01T12:00:00Z", NEW_YORK, NOON.replace(tzinfo=dt.UTC)),
        ("PT1H30M", pl.Duration(), dt.timedelta(hours=1.5)),
        ("1:30:00", pl.Duration(), dt.timedelta(hours=1.5)),
        ("12.3", MONEY, decimal.Decimal("12.30")),
        ("1234567890.12", MONEY, decimal.Decimal("1234567890.12")),
        (" AP8= ", pl.Binary(), b"\x00\xff"),
        ('["a", "b c"]', pl.List(pl.String()), ["a", "b c"]),
        ('{"a": "AP8="}', pl.Struct({"a": pl.Binary()}), {"a": b"\x00\xff"}),
        ("12345678901234567890.12", pl.Decimal(38, 2), decimal.Decimal("12345678901234567890.12")),
    ],
)
def test_text_whose_meaning_is_plain_is_converted(text, dtype, value):
    assert read(text, dtype) == value


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        *((text, pl.Int16()) for text in ("19.9", "32768", "1,000", "seven", "", "\u0667", "1_0", "0x1", "1e-1")),
        ("9007199254740993.0", pl.Int64()),
        *((text, pl.Float64()) for text in ("1,000", "1.000,5", "\u0667", "")),
        *((text, pl.Boolean()) for text in ("2", "maybe", "")),
        *((text, pl.Date()) for text in ("31.01.2024", "2024-02-30", "20240131", "2024-1-31", "19753")),
        *((text, pl.Time()) for text in ("24:00:00", "12:30:60", "12:30:00Z", "noon")),
        *((text, pl.Datetime()) for text in ("20240301", "2024-03-01T12:00:00Z", "1709294400", "noon")),
        *((text, UTC) for text in ("2024-03-01", "2024-03-01T12:00:00", "1709294400", "9999-12-31T23:59:59-02:00")),
        *((text, MONEY) for text in ("12.345", "12345678901.00", "NaN", "inf", "1,5")),
        ("an hour", pl.Duration()),
        ("AP8!", pl.Binary()),
        *((text, pl.List(pl.Int8())) for text in ("1 2", '{"x":[1]}', "[1, 300]", '["1"]', "null", "")),
        ('{"b": 1}', pl.Struct({"a": pl.Int8()})),
        ("z", pl.Enum(["a", "b"])),
    ],
)
def test_any_other_text_is_unreadable_and_not_bent(text, dtype):
    assert read(text, dtype) is None


@pytest.mark.parametrize(
    ("values", "dtype", "converted"),
    [
        ([19.0, 19.9, math.nan, 1e17, None], pl.Int64(), [19, None, None, None, None]),
        ([300, 19], pl.Int8(), [None, 19]),
        ([0, 1, 2], pl.Boolean(), [False, True, None]),
        ([12.3, 12.345], MONEY, [decimal.Decimal("12.30"), None]),
        ([decimal.Decimal("7.0"), decimal.Decimal("7.5")], pl.Int8(), [7, None]),
        ([NOON, NOON.replace(hour=0)], pl.Date(), [None, NOON.date()]),
        ([NOON.replace(tzinfo=dt.UTC)], NEW_YORK, [NOON.replace(tzinfo=dt.UTC)]),
        (["a", "z"], pl.Enum(["a"]), ["a", None]),
        ([None, None], UTC, [None, None]),
    ],
)
def test_values_of_another_dtype_are_converted_where_nothing_is_lost(values, dtype, converted):
    assert convert_column(pl.Series(values, strict=False), dtype).to_list() == converted


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([NOON], UTC), ([NOON.replace(tzinfo=dt.UTC)], pl.Datetime()), ([19_000], pl.Date()), ([[1]], pl.Int8())],
)
def test_no_value_is_read_of_a_column_that_can_mean_nothing_of_the_kind(values, dtype):
    found = convert_column(pl.Series("seen", values), dtype)
    assert (found.name, found.dtype, found.to_list()) == ("seen", dtype, [None])


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (pl.Int8(), "a whole number that Int8 holds, such as 7"),
        (UTC, "a time with offset, such as 2024-03-01T12:00:00Z"),
        (pl.Datetime(), "a time without offset, such as 2024-03-01T12:00:00"),
        (MONEY, "a decimal of at most 2 digits after the point"),
        (pl.Enum(["a", "b"]), "one of a, b"),
        (pl.Date(), "a date such as 2024-03-01"),
        (pl.Binary(), "bytes in Base64, such as AP8="),
        (pl.List(pl.Int8()), "a List(Int8) as JSON"),
        (pl.String(), "a String"),
    ],
)
def test_what_is_expected_of_a_dtype_is_said_in_words(dtype, words):
    assert describe_dtype(dtype) == words


# The same over HTTP


class Kinds(dy.Schema):
    """A column of each dtype that text and JSON both have."""

    small = dy.Int16(nullable=True)
    positive = dy.UInt64(nullable=True)
    number = dy.Float64(nullable=True)
    single = dy.Float32(nullable=True)
    yes = dy.Bool(nullable=True)
    day = dy.Date(nullable=True)
    clock = dy.Time(nullable=True)
    local = dy.Datetime(nullable=True)
    instant = dy.Datetime(nullable=True, time_zone="America/New_York")
    coarse = dy.Datetime(nullable=True, time_zone="UTC", time_unit="ms")
    lasts = dy.Duration(nullable=True)
    fine = dy.Datetime(nullable=True, time_unit="ns")
    money = dy.Decimal(nullable=True, precision=8, scale=2)
    level = dy.Enum(["low", "high"], nullable=True)
    name = dy.String(nullable=True)


MODEL = build_record_model(Kinds, (), {})
NUMBERS, TEXTS = (
    ("small", "positive", "number", "single", "yes"),
    ("clock", "day", "local", "instant", "coarse", "fine"),
)
json_numbers = st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?\Z")
moments = st.from_regex(
    r"\A(19|20|99)[0-9]{2}-[01][0-9]-[0-3][0-9]([Tt _]?[012][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,9})?)?"
    r"([Zz]|[+-][012][0-9]:?[0-6][0-9])?)?\Z"
)
clocks = st.from_regex(r"\A[012][0-9]:[0-6][0-9](:[0-6][0-9]([.,][0-9]{1,9})?)?(Z|[+-]02:00)?\Z")
durations = st.from_regex(r"\A-?P?([0-9]{1,3}D)?T?([0-9]{1,2}:){0,2}[0-9]{1,2}[HMS]?\Z") | st.timedeltas().map(str)


def read_over_http(column, literal):
    """The value in a record, None where the contract refuses it, in the form that a frame has."""
    try:
        value = MODEL.model_validate_json(f'{{"{column}": {literal}}}').values[column]
    except ValidationError:
        return None
    return pl.Series([value], dtype=Kinds.columns()[column].dtype).to_list()[0]


def assert_same(column, text, literal):
    found = read(text, Kinds.columns()[column].dtype)
    finite = None if isinstance(found, float) and not math.isfinite(found) else found  # the contract's own rule
    assert finite == read_over_http(column, literal)


@given(st.sampled_from(NUMBERS[:-1]), json_numbers | st.integers().map(str) | st.floats().map(str))
def test_a_number_is_accepted_from_a_file_where_it_is_accepted_over_http(column, text):
    assert_same(column, text, text)


@pytest.mark.parametrize(("text", "literal"), [("true", "true"), ("false", "false"), ("truth", '"truth"')])
def test_true_and_false_are_those_of_json(text, literal):
    assert_same("yes", text, literal)


@given(st.sampled_from(TEXTS), moments | clocks | st.datetimes().map(str) | st.integers().map(str))
def test_a_time_is_accepted_from_a_file_where_it_is_accepted_over_http(column, text):
    assert_same(column, text, json.dumps(text))


@given(durations)
def test_a_duration_is_accepted_from_a_file_where_it_is_accepted_over_http(text):
    assert_same("lasts", text, json.dumps(text))


@given(json_numbers | st.decimals(allow_nan=True).map(str) | st.from_regex(r"\A[0-9]{1,7}\.[0-9]{0,3}\Z"))
def test_a_decimal_is_accepted_from_a_file_where_its_text_is_accepted_over_http(text):
    assert_same("money", text, json.dumps(text))


@given(st.decimals(-99_999, 99_999, places=2))
def test_a_decimal_is_the_same_as_a_number_and_as_a_text(value):
    assert read_over_http("money", str(value)) == read_over_http("money", json.dumps(str(value))) == value


@given(st.sampled_from(["level", "name"]), st.text(st.characters(exclude_categories=["Cs"])) | st.just("low"))
def test_a_text_is_taken_as_it_is_from_a_file_and_over_http(column, text):
    assert_same(column, text, json.dumps(text))


WRITTEN = {
    pl.Int16(): st.integers(-(2**15), 2**15 - 1),
    pl.UInt64(): st.integers(0, 2**64 - 1),
    pl.Float64(): st.floats(allow_nan=False),
    pl.Boolean(): st.booleans(),
    pl.Date(): st.dates(),
    pl.Time(): st.times(),
    pl.Datetime(): st.datetimes(),
    UTC: st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.just(dt.UTC)),
    MONEY: st.decimals(-(10**9), 10**9, places=2),
}


@given(st.sampled_from(list(WRITTEN)).flatmap(lambda dtype: st.tuples(st.just(dtype), WRITTEN[dtype])))
def test_what_python_writes_is_read_back_as_it_was(written):
    dtype, value = written
    assert read(str(value), dtype) == value


years = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))
LOGGED = {
    "positive": st.integers(0, 2**64 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "yes": st.booleans(),
    "day": st.dates(),
    "clock": st.times(),
    "local": years,
    "instant": years.map(lambda moment: moment.replace(tzinfo=dt.UTC)),
    "coarse": years.map(lambda moment: moment.replace(tzinfo=dt.UTC)),
    "lasts": st.timedeltas(dt.timedelta(days=-(10**6)), dt.timedelta(days=10**6)),
    "money": st.decimals(-(10**5), 10**5, places=2),
}


@given(st.sampled_from(list(LOGGED)).flatmap(lambda column: st.tuples(st.just(column), LOGGED[column])))
def test_what_a_log_writes_of_a_frames_value_is_that_value_again_over_http_and_in_a_file(written):
    column, value = written
    value = pl.Series([value], dtype=Kinds.columns()[column].dtype).to_list()[0]
    literal = encode_json(value).decode()
    assert read_over_http(column, literal) == read(literal.strip('"'), Kinds.columns()[column].dtype) == value


# Lists, arrays and structs


class NestedKinds(dy.Schema):
    """Columns whose inner values are read by the rules of columns."""

    counts = dy.List(dy.Int64(nullable=True), nullable=True)
    times = dy.List(dy.Datetime(nullable=True), nullable=True)
    pair = dy.Array(dy.Int64(nullable=True), 2, nullable=True)
    grid = dy.Array(dy.Int64(nullable=True), (2, 2), nullable=True)
    part = dy.Struct({"a b": dy.Int8(nullable=True), "day": dy.Date(nullable=True)}, nullable=True)
    blob = dy.Struct({"raw": dy.Binary(nullable=True)}, nullable=True)
    parts = dy.List(dy.Struct({"sizes": dy.List(dy.Int8(nullable=True), nullable=True)}, nullable=True), nullable=True)


NESTED_MODEL = build_record_model(NestedKinds, (), {})


def read_nested(column, value):
    dtype = NestedKinds.columns()[column].dtype
    return convert_column(pl.Series([value], strict=False), dtype).to_list()[0]


def read_nested_over_http(column, value):
    try:
        return NESTED_MODEL.model_validate_json(json.dumps({column: value})).values[column]
    except ValidationError:
        return None


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("counts", [1, 2.0, None], [1, 2, None]),
        ("counts", [], []),
        ("times", ["2024-03-01T12:00:00"], [NOON]),
        ("pair", [1.0, 2.0], [1, 2]),
        ("grid", [[1, 2.0], [3, 4]], [[1, 2], [3, 4]]),
        ("part", {"a b": 7.0, "day": "2024-03-01"}, {"a b": 7, "day": NOON.date()}),
        ("part", {"a b": 7}, {"a b": 7, "day": None}),
        ("blob", {"raw": "AP8="}, {"raw": b"\x00\xff"}),
        ("parts", [{"sizes": [1.0]}, {"sizes": None}], [{"sizes": [1]}, {"sizes": None}]),
    ],
)
def test_inner_values_are_read_like_a_columns_own_from_a_frame_and_over_http(column, value, read):
    assert read_nested(column, value) == read_nested_over_http(column, value) == read


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("counts", [1.5, 2.0]),
        ("counts", ["1", "x"]),
        ("counts", 1),
        ("counts", {"a": 1}),
        ("times", ["2024-01-01T00:00:00Z"]),
        ("times", [1]),
        ("pair", [1.9, 2]),
        ("pair", [1, 2, 3]),
        ("pair", []),
        ("grid", [[1, 2], [3, 4.5]]),
        ("grid", [1, 2, 3, 4]),
        ("part", {"a b": 300}),
        ("part", {"b": 300}),
        ("part", {"a b": 1, "b": 2}),
        ("part", [1]),
        ("parts", [{"sizes": [1, 300]}]),
    ],
)
def test_a_value_with_an_unreadable_inner_value_is_unreadable_as_a_whole(column, value):
    assert read_nested(column, value) is None
    assert read_nested_over_http(column, value) is None


def test_an_unreadable_inner_value_costs_its_own_row_only():
    rows = pl.Series([[1.0], [1.5], [], None, [None, 2.0]])
    assert convert_column(rows, pl.List(pl.Int64())).to_list() == [[1], None, [], None, [None, 2]]
    assert convert_column(pl.Series([[], [7]]), pl.List(pl.Date())).to_list() == [[], None]


inner_numbers = st.none() | st.integers(-400, 400) | st.floats(-400, 400).map(lambda value: round(value, 1))
NESTED_VALUES = {
    "counts": st.lists(inner_numbers, max_size=4),
    "pair": st.lists(inner_numbers, min_size=1, max_size=3),
    "part": st.fixed_dictionaries({"a b": inner_numbers}),
    "parts": st.lists(st.fixed_dictionaries({"sizes": st.lists(inner_numbers, max_size=2)}), max_size=2),
}


@given(st.sampled_from(list(NESTED_VALUES)).flatmap(lambda name: st.tuples(st.just(name), NESTED_VALUES[name])))
def test_a_nested_value_is_accepted_from_a_frame_where_it_is_accepted_over_http(written):
    column, value = written
    assert read_nested(column, value) == read_nested_over_http(column, value)


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["5", "x"])])
def test_categories_are_read_as_the_texts_that_they_are(dtype):
    assert convert_column(pl.Series(["5", "x"], dtype=dtype), pl.Int64()).to_list() == [5, None]
