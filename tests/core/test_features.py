import datetime as dt
import math
import time
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.features import (
    Category,
    ClockMinutes,
    Difference,
    Expression,
    Hour,
    Month,
    NotAbove,
    Number,
    ValidClock,
    Weekday,
)

INT16 = st.integers(-(2**15), 2**15 - 1)
CLOCKS = st.integers(0, 2400)
FLOATS = st.floats(allow_nan=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
INSTANTS = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2099, 12, 31), timezones=st.just(dt.UTC))


class Wide(dy.Schema):
    number = dy.Float64(nullable=True)
    other = dy.Float64(nullable=True)
    single = dy.Float32(nullable=True)
    integer = dy.Int64(nullable=True)
    clock = dy.Int16(nullable=True)
    text = dy.String(nullable=True)
    choice = dy.Enum(["a", "b"], nullable=True)
    instant = dy.Datetime(nullable=True, time_zone="UTC")
    opens = dy.Time(nullable=True)


VALUES = {
    "number": FLOATS,
    "other": FLOATS,
    "single": st.floats(width=32, allow_nan=False),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "clock": CLOCKS | INT16,
    "text": TEXTS,
    "choice": st.sampled_from("ab"),
    "instant": INSTANTS,
    "opens": st.times(),
}
KINDS = [
    Number("number"),
    Number("single"),
    Number("integer"),
    Category("text"),
    Category("choice"),
    ClockMinutes("clock"),
    Weekday("instant", "America/New_York"),
    Weekday("instant", "Asia/Kathmandu"),
    Hour("instant", "Asia/Kathmandu"),
    Hour("opens", "UTC"),
    Month("instant", "America/New_York"),
    Difference("number", "other"),
    Difference("integer", "clock"),
    Expression("letters", pl.col("text").str.len_chars(), Wide),
    Expression("doubled", pl.col("clock") * 2, Wide),
    Expression("order", pl.col("choice").to_physical(), Wide),
    Expression("known", pl.col("number").is_not_null(), Wide),
]


def records_for(definition):
    """A few records with the columns that a kind or check reads."""
    values = {name: st.none() | VALUES[name] for name in definition.columns}
    return st.lists(st.fixed_dictionaries(values), max_size=5)


def frame(definition, records):
    dtypes = {name: Wide.columns()[name].dtype for name in definition.columns}
    return pl.DataFrame(records, schema=dtypes).select(definition.expr()).to_series()


def same(left, right):
    """Equal, with null and NaN both standing for "missing"."""
    left, right = (None if isinstance(x, float) and math.isnan(x) else x for x in (left, right))
    return left == right


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(st.data())
def test_a_kind_gives_the_same_on_a_frame_as_on_each_record(kind, data):
    records, scalar = data.draw(records_for(kind)), kind.scalar()
    pairs = zip(frame(kind, records), map(scalar, records), strict=True)
    assert [pair for pair in pairs if not same(*pair)] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_number_is_float64_and_a_category_is_text(kind):
    assert frame(kind, []).dtype == (pl.String if kind.categorical else pl.Float64)


@pytest.mark.parametrize("check", [ValidClock("clock"), NotAbove("number", "other"), NotAbove("clock", "integer")])
@given(st.data())
def test_a_check_refuses_the_same_rows_of_a_frame_as_records(check, data):
    records = data.draw(records_for(check))
    assert frame(check, records).fill_null(True).to_list() == [check.scalar(record) for record in records]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (ClockMinutes("x"), 1745, 1065.0),
        (ClockMinutes("x"), 2400, 1440.0),
        (Weekday("x", "America/New_York"), dt.datetime(2013, 4, 1, 3, 59, tzinfo=dt.UTC), 7.0),
        (Weekday("x", "America/New_York"), dt.datetime(2013, 4, 1, 4, 0, tzinfo=dt.UTC), 1.0),
        (Hour("x", "Asia/Kathmandu"), dt.datetime(2013, 4, 1, 3, 30, tzinfo=dt.UTC), 9.0),
        (Hour("x", "UTC"), dt.time(17, 45), 17.0),
        (Month("x", "America/New_York"), dt.datetime(2013, 4, 1, 3, 59, tzinfo=dt.UTC), 3.0),
        (Month("x", "UTC"), dt.date(2013, 4, 1), 4.0),
        (Number("x"), 3, 3.0),
        (Category("x"), "JFK", "JFK"),
    ],
)
def test_what_a_kind_means(kind, value, expected):
    assert kind.scalar()({"x": value}) == expected


def test_a_difference_is_the_first_minus_the_second():
    assert Difference("a", "b").scalar()({"a": 5, "b": 3}) == 2.0


@pytest.mark.parametrize(("clock", "valid"), [(0, True), (1259, True), (1260, False), (2400, True), (None, True)])
def test_minutes_of_a_valid_clock_are_below_60(clock, valid):
    assert ValidClock("x").scalar({"x": clock}) is valid


@pytest.mark.parametrize(
    ("a", "b", "holds"), [(1, 2, True), (2, 2, True), (3, 2, False), (None, 2, True), (3, None, True)]
)
def test_not_above_holds_up_to_equality_and_where_a_side_is_missing(a, b, holds):
    assert NotAbove("a", "b").scalar({"a": a, "b": b}) is holds


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"])
def machine_zone(request, monkeypatch):
    """The time zone of this machine."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


MONDAY = dt.datetime(2024, 3, 11)
IN_A_SKIPPED_HOUR, IN_A_DOUBLED_HOUR = dt.datetime(2024, 3, 10, 2, 30), dt.datetime(2024, 11, 3, 1, 30, fold=1)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (MONDAY, pl.Datetime("us"), 1.0),
        (MONDAY, pl.Datetime("ns"), 1.0),
        (MONDAY - dt.timedelta(milliseconds=1), pl.Datetime("ms"), 7.0),
        (IN_A_SKIPPED_HOUR, pl.Datetime("us"), 7.0),
        (IN_A_DOUBLED_HOUR, pl.Datetime("us"), 7.0),
        (MONDAY.date(), pl.Date(), 1.0),
        (MONDAY.replace(tzinfo=dt.UTC), pl.Datetime("us", "UTC"), 7.0),
        (dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC), pl.Datetime("us", "UTC"), 5.0),
        (dt.datetime(1, 1, 1, tzinfo=dt.UTC), pl.Datetime("us", "UTC"), 7.0),
        (dt.datetime(2150, 7, 1, 4, 30, tzinfo=dt.UTC), pl.Datetime("us", "UTC"), None),
    ],
)
def test_the_weekday_of_a_clock_is_that_of_its_zone_wherever_the_machine_is(machine_zone, value, dtype, expected):
    kind = Weekday("x", "America/New_York")
    (of_frame,) = pl.DataFrame({"x": [value]}, schema={"x": dtype}).select(x=kind.expr()).to_series()
    assert kind.scalar()({"x": value}) == of_frame
    assert expected in (None, of_frame)


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (12, "12"), (-5, "-5"), ("A", "A")])
def test_a_category_of_anything_is_its_text_in_both_forms(value, text):
    kind = Category("x")
    (of_frame,) = pl.DataFrame({"x": [value]}).select(kind.expr()).to_series()
    assert (kind.scalar()({"x": value}), of_frame) == (text, text)


def test_times_of_one_zone_are_compared_as_instants_where_the_clock_shows_an_hour_twice():
    zone = ZoneInfo("America/New_York")
    record = {
        "a": dt.datetime(2024, 11, 3, 1, 50, tzinfo=zone),
        "b": dt.datetime(2024, 11, 3, 1, 10, fold=1, tzinfo=zone),
    }
    check, dtype = NotAbove("a", "b"), pl.Datetime("us", "America/New_York")
    (of_frame,) = pl.DataFrame([record], schema={"a": dtype, "b": dtype}).select(check.expr()).to_series()
    assert (check.scalar(record), of_frame) == (True, True)
