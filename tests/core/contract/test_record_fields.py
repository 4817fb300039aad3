"""What a request's values may be, by the dtype of their column."""

import datetime as dt
import decimal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import dataframely as dy
import polars as pl
import pytest
from pydantic import ValidationError

from penumbra.core.contract.record_fields import build_model_fields
from penumbra.core.contract.value_readers import list_records
from penumbra.logs.append_log import encode_json
from service.http.requests.record_reader import build_record_model

NOON = dt.datetime(2024, 3, 1, 12)


class Kinds(dy.Schema):
    """A column of each dtype whose values JSON can write in more than one way."""

    small = dy.Int16(nullable=True, max=100)
    day = dy.Date(nullable=True)
    clock = dy.Time(nullable=True)
    local = dy.Datetime(nullable=True)
    instant = dy.Datetime(nullable=True, time_zone="UTC")
    coarse = dy.Datetime(nullable=True, time_zone="UTC", time_unit="ms")
    fine = dy.Datetime(nullable=True, time_unit="ns")
    lasts = dy.Duration(nullable=True)
    money = dy.Decimal(nullable=True, precision=8, scale=2, max=decimal.Decimal(1000))


MODEL = build_record_model(Kinds, (), {})


def read(column, literal):
    return MODEL.model_validate_json(f'{{"{column}": {literal}}}').values[column]


@pytest.mark.parametrize(
    ("column", "literal", "value"),
    [
        ("small", "19.0", 19),
        ("small", "1e1", 10),
        ("day", '"2024-03-01"', NOON.date()),
        ("clock", '"12:30"', dt.time(12, 30)),
        ("local", '"2024-03-01 12:00"', NOON),
        ("local", '"2024-03-01"', NOON.replace(hour=0)),
        ("fine", '"2024-03-01"', NOON.replace(hour=0)),
        ("instant", '"2024-03-01T14:00:00+02:00"', NOON.replace(tzinfo=dt.UTC)),
        ("coarse", '"2024-03-01T12:00:00.123999Z"', NOON.replace(microsecond=123_000, tzinfo=dt.UTC)),
        ("lasts", '"PT1H30M"', dt.timedelta(hours=1.5)),
        ("money", "12.3", decimal.Decimal("12.30")),
        ("money", '"12.300"', decimal.Decimal("12.30")),
        ("money", "1e2", decimal.Decimal("100.00")),
    ],
)
def test_a_value_is_read_in_the_form_that_a_frame_has(column, literal, value):
    found = read(column, literal)
    assert (found, str(found)) == (value, str(value))
    assert pl.Series([found], dtype=Kinds.columns()[column].dtype).to_list() == [value]


@pytest.mark.parametrize(
    ("column", "literal", "expected"),
    [
        ("small", "19.9", "a valid integer"),
        ("small", "101.0", "less than or equal to 100"),
        ("day", '"1706659200"', "a valid date in the format YYYY-MM-DD"),
        ("day", '"2024-03-01T00:00:00"', "a valid date in the format YYYY-MM-DD"),
        ("clock", '"12:30:00Z"', "a time of day without an offset"),
        ("local", '"20240301"', "a date and time without an offset, such as 2024-04-01T21:00:00, or a date"),
        ("instant", '"20240131"', "a date and time with its offset from UTC, such as 2024-04-01T21:00:00Z"),
        ("instant", '"2024-03-01"', "a date and time with its offset from UTC, such as 2024-04-01T21:00:00Z"),
        ("instant", '"9999-12-31T23:59:59-02:00"', "a time between the years 1 and 9999"),
        ("fine", '"2500-01-01T00:00:00"', "a time between the years 1678 and 2261"),
        ("lasts", '"P999999999D"', "a duration of at most 106751990 days"),
        ("money", "12.345", "a decimal of at most 6 digits before and 2 after the point"),
        ("money", "1234567", "a decimal of at most 6 digits before"),
        ("money", "1234567890123456.78", "a number, as text where it has many digits"),
        ("money", "true", "a number"),
        ("money", "2000", "less than or equal to 1000"),
    ],
)
def test_a_value_that_a_frame_would_change_or_not_hold_is_refused(column, literal, expected):
    with pytest.raises(ValidationError) as refused:
        read(column, literal)
    assert expected in str(refused.value)


class Checked(dy.Schema):
    """Rules that dataframely doesn't translate, some of inner values."""

    even = dy.Int16(nullable=True, check=lambda column: column % 2 == 0)
    known = dy.String(nullable=True, check={"known": lambda column: column.is_not_null()})
    hourly = dy.Datetime(nullable=True, time_zone="UTC", resolution="1h")
    monthly = dy.Date(nullable=True, resolution="1mo")
    halves = dy.Time(nullable=True, resolution="30m")
    lasts = dy.Duration(nullable=True, resolution="1h")
    parts = dy.List(dy.Int8(check=lambda column: column > 0), nullable=True)
    inner = dy.Struct({"odd": dy.Int8(check=lambda column: column % 2 == 1)}, nullable=True)
    failing = dy.String(nullable=True, check=lambda column: column.cast(pl.Int8) > 0)


CHECKED = build_record_model(Checked, (), {})


@pytest.mark.parametrize(
    ("column", "literal", "broken"),
    [
        ("even", "2", ""),
        ("even", "null", ""),
        ("even", "3", "check"),
        ("known", "null", "check__known"),
        ("hourly", '"2024-03-01T12:00:00Z"', ""),
        ("hourly", '"2024-03-01T12:30:00Z"', "resolution 1h"),
        ("hourly", '"2024-03-01T12:30:00+00:30"', ""),
        ("monthly", '"2024-03-01"', ""),
        ("monthly", '"2024-03-02"', "resolution 1mo"),
        ("halves", '"12:15:00"', "resolution 30m"),
        ("lasts", '"PT90M"', "resolution 1h"),
        ("parts", "[1, 2]", ""),
        ("parts", "[1, 0]", "inner_check"),
        ("inner", '{"odd": 2}', "inner_odd_check"),
        ("failing", '"1"', ""),
        ("failing", '"one"', "check"),
    ],
)
def test_a_columns_own_checks_and_resolution_hold_for_requests_as_for_batches(column, literal, broken):
    known = "" if column == "known" else ', "known": "x"'
    body = f'{{"{column}": {literal}{known}}}'
    if broken:
        with pytest.raises(ValidationError, match=f"a value that keeps the rule {broken} "):
            CHECKED.model_validate_json(body)
    else:
        record = CHECKED.model_validate_json(body).values
        assert Checked.filter(pl.DataFrame([record], schema=Checked.create_empty().schema))[0].height == 1


def test_a_column_whose_check_refuses_null_cant_be_left_out():
    with pytest.raises(ValidationError, match="Field required"):
        CHECKED.model_validate_json("{}")


class Small(dy.Schema):
    """Bounds that a Float32 rounds up (0.1) and down (0.7)."""

    most = dy.Float32(nullable=True, max=0.1)
    less = dy.Float32(nullable=True, max_exclusive=0.7)


SMALL = build_record_model(Small, (), {})


@pytest.mark.parametrize(
    ("column", "literal", "is_kept"),
    [
        ("most", "0.1", True),
        ("most", "0.10000000149011612", True),
        ("most", "0.10000001", False),
        ("less", "0.69999", True),
        ("less", "0.6999999999", False),
        ("less", "0.7", False),
    ],
)
def test_a_float32_is_compared_with_its_bounds_as_a_frame_compares_it(column, literal, is_kept):
    frame = pl.DataFrame({"most": None, "less": None} | {column: float(literal)}, schema=Small.create_empty().schema)
    assert (Small.filter(frame)[0].height == 1) is is_kept
    if is_kept:
        value = SMALL.model_validate_json(f'{{"{column}": {literal}}}').values[column]
        assert SMALL.model_validate_json(f'{{"{column}": {value!r}}}').values[column] == value
    else:
        with pytest.raises(ValidationError):
            SMALL.model_validate_json(f'{{"{column}": {literal}}}')


@pytest.mark.slow
def test_threads_that_build_fields_at_the_same_time_neither_warn_nor_leave_filters() -> None:
    schemas = [type(f"Kinds{n}", (Kinds,), {}) for n in range(100)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with warnings.catch_warnings(action="error"), ThreadPoolExecutor(8) as pool:
            filters = list(warnings.filters)
            built = list(pool.map(lambda schema: list(build_model_fields(schema)), schemas))
            assert warnings.filters == filters
    finally:
        sys.setswitchinterval(interval)
    assert built == [list(Kinds.columns())] * 100


class Zoned(dy.Schema):
    """A time in a zone whose offset had seconds until 1911."""

    at = dy.Datetime(nullable=True, time_zone="Europe/Paris")


@pytest.mark.parametrize("year", [1850, 1900, 1950, 1972, 2024])
def test_a_time_in_a_zone_is_the_same_moment_in_a_log_from_a_frame_as_from_a_request(year):
    model = build_record_model(Zoned, (), {})
    records = [model.model_validate_json(f'{{"at": {at}}}').values for at in (f'"{year}-06-01T12:00:00Z"', "null")]
    rows = pl.DataFrame(records, schema={"at": Zoned.columns()["at"].dtype})
    assert encode_json(list_records(rows)) == encode_json(records)
    logged = model.model_validate_json(encode_json(list_records(rows)[0])).values["at"]
    assert logged == dt.datetime(year, 6, 1, 12, tzinfo=dt.UTC)
