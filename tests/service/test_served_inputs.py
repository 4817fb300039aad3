"""Frames, lists and single records hold the same and give the model the same inputs, for every type of a column."""

import datetime as dt
import functools
import math
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import dataframely as dy
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.checks.feature_checks import find_check_faults, find_feature_faults
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.features import (
    Category,
    ClockMinutes,
    ColumnCheck,
    Difference,
    Expression,
    Feature,
    Hour,
    Month,
    NotAbove,
    Number,
    ValidClock,
    Weekday,
)
from penumbra.logs.append_log import encode_json
from penumbra.registry.bundles.bundle import Bundle
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import Contract
from service.inference.models.live_model import make_loaded_model


class ColumnCase(NamedTuple):
    """A type of column, the values that its dtype holds, and expressions on it that are features."""

    column: Any
    values: st.SearchStrategy[Any]
    expressions: tuple[pl.Expr, ...] = ()


def round_down(value: dt.datetime) -> dt.datetime:
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


X = pl.col("x")
LEAP = dt.datetime(2024, 2, 29, 23, 59, 59, 999999)
TIMES = st.datetimes() | st.sampled_from([dt.datetime.min, dt.datetime.max, LEAP])
NANOSECOND_TIMES = st.datetimes(dt.datetime(1678, 1, 1), dt.datetime(2261, 12, 31, 23, 59, 59, 999999))
NEW_YORK = ZoneInfo("America/New_York")
# Around the hours that clocks in New York skip and show twice, and anywhere but for the first and last days.
INSTANTS = st.datetimes(dt.datetime(2024, 3, 10, 5), dt.datetime(2024, 3, 10, 9)) | st.datetimes(
    dt.datetime(2024, 11, 3, 4), dt.datetime(2024, 11, 3, 8)
)
INSTANTS |= st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29))
UTC_TIMES = INSTANTS.map(lambda value: value.replace(tzinfo=dt.UTC))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(["true", "1", "é", ""])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
HOUR = (X.dt.hour(),)


def list_integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high) | st.sampled_from([low, high, 0, min(high, 2**53 + 1), min(high, 1759)])


def list_decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**digits - 1
    return st.integers(-most, most).map(lambda value: Decimal(value).scaleb(-scale).quantize(Decimal(1).scaleb(-scale)))


CASES: dict[str, ColumnCase] = {
    "Bool": ColumnCase(dy.Bool, st.booleans(), (~X,)),
    **{
        f"{'Int' if signed else 'UInt'}{bits}": ColumnCase(
            getattr(dy, f"{'Int' if signed else 'UInt'}{bits}"), list_integers(bits, signed), (X / 3, X % 2 == 0)
        )
        for signed in (True, False)
        for bits in (8, 16, 32, 64)
    },
    "Float64": ColumnCase(dy.Float64, FLOATS, (X.abs().sqrt(), X * 1.1)),
    "Float32": ColumnCase(dy.Float32, st.floats(allow_nan=False, allow_infinity=False, width=32), (X * 1.1,)),
    "Decimal": ColumnCase(lambda **given: dy.Decimal(12, 2, **given), list_decimals(12, 2), (X * 2,)),
    "Decimal of 28 digits": ColumnCase(lambda **given: dy.Decimal(scale=9, **given), list_decimals(28, 9)),
    "String": ColumnCase(dy.String, TEXTS, (X.str.len_chars(), X == "é")),
    "Enum": ColumnCase(lambda **given: dy.Enum(["b", "a", "true"], **given), st.sampled_from(["a", "b", "true"])),
    "Categorical": ColumnCase(dy.Categorical, TEXTS, (X == "é",)),
    "Date": ColumnCase(dy.Date, st.dates(), (X.dt.month(),)),
    "Datetime": ColumnCase(dy.Datetime, TIMES, (*HOUR, X)),
    "Datetime ms": ColumnCase(lambda **given: dy.Datetime(time_unit="ms", **given), TIMES.map(round_down), HOUR),
    "Datetime ns": ColumnCase(lambda **given: dy.Datetime(time_unit="ns", **given), NANOSECOND_TIMES, HOUR),
    "Datetime UTC": ColumnCase(lambda **given: dy.Datetime(time_zone="UTC", **given), UTC_TIMES, HOUR),
    "Datetime New York": ColumnCase(
        lambda **given: dy.Datetime(time_zone="America/New_York", **given),
        UTC_TIMES.map(lambda value: value.astimezone(NEW_YORK)),
        HOUR,
    ),
    "Time": ColumnCase(dy.Time, st.times(), (*HOUR, X)),
    "Duration": ColumnCase(
        dy.Duration, st.timedeltas(dt.timedelta(-100000000), dt.timedelta(100000000)), (X.dt.total_seconds(),)
    ),
    "Duration ms": ColumnCase(
        lambda **given: dy.Duration(time_unit="ms", **given),
        st.integers(-(10**12), 10**12).map(lambda count: dt.timedelta(milliseconds=count)),
        (X.dt.total_milliseconds(),),
    ),
    "Binary": ColumnCase(dy.Binary, st.binary(max_size=4), (X.bin.size(),)),
    "List": ColumnCase(
        lambda **given: dy.List(dy.Int8(), **given), st.lists(list_integers(8, True), max_size=3), (X.list.sum(),)
    ),
    "Array": ColumnCase(
        lambda **given: dy.Array(dy.Float64(), 2, **given), st.lists(FLOATS, min_size=2, max_size=2), (X.arr.max(),)
    ),
    "Struct": ColumnCase(
        lambda **given: dy.Struct({"a": dy.Int16(), "b": dy.String()}, **given),
        st.fixed_dictionaries({"a": list_integers(16, True), "b": TEXTS}),
        (X.struct.field("a"), X.struct.field("b").str.len_bytes()),
    ),
}


class Inputs:
    """An estimator that answers anything."""

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        return np.full((len(matrix), 2), 0.5)


def make_schema(case: ColumnCase) -> type[dy.Schema]:
    columns = {name: case.column(nullable=True) for name in ("x", "y")}
    return type("Row", (dy.Schema,), {"__module__": __name__, **columns})


@functools.cache
def list_features(name: str) -> tuple[Feature, ...]:
    """Every feature of a case's columns that `load_problem` would accept."""
    case, schema = CASES[name], SCHEMAS[name]
    kinds: list[Feature] = [Number("x"), Difference("x", "y"), ClockMinutes("x"), Category("y")]
    kinds += [Weekday("x", "America/New_York"), Weekday("y", "Asia/Kathmandu")]
    kinds += [Hour("x", "Asia/Kathmandu"), Month("x", "America/New_York")]
    kinds += [Expression(f"made {count}", made, schema) for count, made in enumerate(case.expressions)]
    return tuple(kind for kind in kinds if not list(find_feature_faults(kind, schema)))


@functools.cache
def list_checks(name: str) -> tuple[ColumnCheck, ...]:
    checks: tuple[ColumnCheck, ...] = (ValidClock("x"), NotAbove("x", "y"))
    return tuple(check for check in checks if not list(find_check_faults(check, SCHEMAS[name])))


SCHEMAS = {name: make_schema(case) for name, case in CASES.items()}
CONTRACTS = {name: Contract(schema, (), {}, max_records=100) for name, schema in SCHEMAS.items()}


def draw_rows(data: Any, name: str, at_least: int) -> pl.DataFrame:
    values = st.none() | CASES[name].values
    rows = data.draw(st.lists(st.tuples(values, values), min_size=at_least, max_size=6))
    columns = {"x": [x for x, _ in rows], "y": [y for _, y in rows]}
    return pl.DataFrame(columns, schema=CONTRACTS[name].dtypes)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_training_a_list_and_single_records_give_the_model_the_same_inputs(name: str, data: Any) -> None:
    kinds, contract = list_features(name), CONTRACTS[name]
    seen, rows = draw_rows(data, name, 0), draw_rows(data, name, 1)
    encoder = FeatureEncoder(kinds, learn_category_tables(kinds, derive_features(kinds, seen)))
    facts = {"version": "", "task": {"kind": "binary"}, "threshold": 0.5}
    model = make_loaded_model(Bundle(Path(), facts, encoder, None, Inputs()))
    expected = encoder.encode_frame(derive_features(kinds, rows))
    bodies = [encode_json(record) for record in rows.iter_rows(named=True)]
    listed = contract.to_frame(contract.parse_batch(b"[" + b",".join(bodies) + b"]"))
    singles = [contract.parse_one(body) for body in bodies]
    np.testing.assert_array_equal(model.score_batch(listed)[0], expected)
    rows_of_records = [[float(value) if value is not None else math.nan for value in encoder.row()(r)] for r in singles]
    np.testing.assert_array_equal(np.array(rows_of_records, float).reshape(expected.shape), expected)


def test_every_type_of_a_column_has_a_feature_that_reads_it() -> None:
    without = [name for name in CASES if not list_features(name)]
    types = {kind for kind in vars(dy).values() if isinstance(kind, type) and issubclass(kind, dy.Column)}
    tried = {type(schema.columns()["x"]) for schema in SCHEMAS.values()}
    abstract_or_refused = {dy.Column, dy.Any, dy.Object, dy.Integer, dy.Float}
    assert (without, types - tried - abstract_or_refused) == ([], set())


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_a_check_holds_for_the_same_rows_of_a_frame_as_records(name: str, data: Any) -> None:
    rows = draw_rows(data, name, 1)
    for check in list_checks(name):
        records = [CONTRACTS[name].parse_one(encode_json(record)) for record in rows.iter_rows(named=True)]
        held = rows.select(check.expr().fill_null(value=True)).to_series().to_list()
        assert [check.scalar(record) for record in records] == held


SPELLINGS = [
    *("12", "12.0", '"12"', "-0.0", "12.345", '"12.345"', "1e3", '"1e3"', "1e400", "18446744073709551616", "true"),
    *('"true"', '"TRUE"', "1", "0.1", "99999999999.99", '"99999999999.99"', '"NaN"', '"-0"', "[1,2]", "[1.1,2]"),
    *("[]", "[1,null]", "[true,2]", '{"a":1,"b":"c"}', '{"a":1}', '{"a":1.0,"b":"c"}', '"a"', '"é"', '"YQ=="', '"*"'),
    *('"2024-03-01"', '"2024-03-01T12:00:00"', '"2024-03-01T12:00:00Z"', '"2024-03-01T12:00:00+02:00"'),
    *('"2024-03-01 12:00"', '"2024-03-01T12:00:00.1234567"', '"2024-03-01T12:00:00.1234567Z"', '"20240301"'),
    *('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-12:00"', '"0001-01-01T00:00:00"', '"2024-02-30"'),
    *('"1600-01-01T00:00:00"', '"12:00:00"', '"12:00"', '"12:00:00.1234567"', '"12:00:00+02:00"', '"24:00:00"'),
    *('"PT1.5S"', '"P1D"', '"P999999999D"', '"-P1D"', '"01:00:00"', '"1 day"', "1710000000", '"1710000000"'),
]


def read(contract: Contract, body: bytes, listed: bool) -> dict[str, Any] | str:
    """What one way of asking makes of a body: the record, or that it is refused with a sentence about a field."""
    try:
        return contract.parse_batch(b"[" + body + b"]")[0] if listed else contract.parse_one(body)
    except RequestRefused as refused:
        return "refused" if refused.details else "refused without a reason"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_value_is_read_alike_from_a_list_and_alone_as_a_frame_holds_it_or_refused(spelling: str) -> None:
    body = f'{{"x":{spelling}}}'.encode()
    for contract in CONTRACTS.values():
        alone = read(contract, body, listed=False)
        assert read(contract, body, listed=True) == alone != "refused without a reason"
        if isinstance(alone, dict):
            assert contract.to_frame([alone]).row(0, named=True) == alone
            assert contract.parse_one(encode_json(alone)) == alone  # as the prediction log keeps it


@pytest.mark.parametrize("longest", ["P106751990D", "-P106751990D"])
def test_the_longest_duration_can_stand_beside_a_short_one(longest: str) -> None:
    """polars made no column of milliseconds of a duration that its microseconds can't hold and another one."""
    records = CONTRACTS["Duration ms"].parse_batch(f'[{{"x":"{longest}"}},{{"x":"PT1S"}}]'.encode())
    assert CONTRACTS["Duration ms"].to_frame(records)["x"].to_list() == [record["x"] for record in records]
    assert read(CONTRACTS["Duration ms"], b'{"x":"P106751991D"}', listed=False) == "refused"


@pytest.mark.parametrize(
    ("text", "is_read"), [("é", True), ("éé", True), ("ééé", False), ("a", False), ("ab", True), ("abcde", False)]
)
def test_lengths_of_texts_are_counted_in_bytes_as_batches_count_them(text: str, is_read: bool) -> None:
    class Row(dy.Schema):
        x = dy.String(nullable=False, min_length=2, max_length=4)

    assert (read(Contract(Row, (), {}, 1), encode_json({"x": text}), listed=False) != "refused") is is_read
    assert (Row.filter(pl.DataFrame({"x": [text]}))[0].height == 1) is is_read


def test_an_amount_is_the_same_key_however_it_is_written() -> None:
    contract = CONTRACTS["Decimal"]
    keys = {
        encode_json(contract.parse_one(f'{{"x":{text}}}'.encode())) for text in ("12.3", "12.30", '"12.3"', '"1.23e1"')
    }
    assert keys == {b'{"x":"12.30","y":null}'}
