"""The time column: read in any of its forms, and written as the contract reads it."""

import datetime as dt
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.sources.times import TimeColumn

TIMES = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2199, 12, 30))
NAIVE_FORMS = ["%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]
OFFSETS = ["Z", "UTC", " UTC", "+02:00", "-0330", " +0545", "+01"]


def read_text(values, zone=None, form=None):
    """Text as the contract gets it, and the days that it belongs to."""
    column, text = TimeColumn("at", form, zone), pl.Series("at", values, dtype=pl.String)
    return column.normalize(text).to_list(), column.find_days(text).to_list()


@given(st.lists(st.tuples(TIMES, st.sampled_from(NAIVE_FORMS)), min_size=1))
def test_times_without_an_offset_are_read_in_any_form_beside_each_other(cases):
    texts = [f" {time.strftime(form)} " for time, form in cases]
    written, days = read_text(texts)
    expected = [dt.datetime.strptime(text.strip(), form) for text, (_, form) in zip(texts, cases, strict=True)]
    assert [dt.datetime.fromisoformat(text) for text in written] == expected
    assert days == [time.date() for time in expected]


@given(st.lists(st.tuples(TIMES, st.sampled_from(OFFSETS)), min_size=1))
def test_times_with_an_offset_are_written_in_utc_and_counted_by_the_zone(cases):
    written, days = read_text([f"{time:%Y-%m-%d %H:%M:%S}{offset}" for time, offset in cases], "Asia/Tokyo")
    expected = [
        dt.datetime.fromisoformat(
            f"{time:%Y-%m-%dT%H:%M:%S}{'+00:00' if offset.strip() in ('Z', 'UTC') else offset.strip()}"
        ).astimezone(dt.UTC)
        for time, offset in cases
    ]
    assert [dt.datetime.fromisoformat(text) for text in written] == expected
    assert days == [(time + dt.timedelta(hours=9)).date() for time in expected]


@pytest.mark.parametrize(
    ("text", "zone", "written", "day"),
    [
        ("2024-10-27 02:30", "Europe/Berlin", "2024-10-27T00:30:00Z", dt.date(2024, 10, 27)),  # comes twice: the first
        ("2024-03-31 02:30", "Europe/Berlin", "2024-03-31 02:30", None),  # never comes
        ("2024-02-30", None, "2024-02-30", None),
        ("soon", None, "soon", None),
        ("", None, "", None),
        ("1699-12-31", None, "1699-12-31T00:00:00", None),
        ("9999-12-31", None, "9999-12-31T00:00:00", None),
    ],
)
def test_what_is_no_time_stands_as_it_is_and_belongs_to_no_day(text, zone, written, day):
    assert read_text([text], zone) == ([written], [day])


@pytest.mark.parametrize(
    ("form", "text", "zone", "written"),
    [
        ("%d.%m.%Y", "05.03.2024", None, "2024-03-05T00:00:00"),
        ("%d.%m.%Y", "05.03.2024", "Europe/Berlin", "2024-03-04T23:00:00Z"),
        ("%d/%m/%y %I:%M %p", "05/03/24 01:30 PM", None, "2024-03-05T13:30:00"),
        ("s", "1709640000", None, "2024-03-05T12:00:00Z"),
        ("ms", "1709640000250", "Europe/Berlin", "2024-03-05T12:00:00.250Z"),
        ("%d.%m.%Y", "2024-03-05", None, "2024-03-05"),
    ],
)
def test_a_format_is_read_and_nothing_else(form, text, zone, written):
    assert read_text([text], zone, form)[0] == [written]


@pytest.mark.parametrize(
    ("value", "zone", "dtype"),
    [
        (dt.date(2024, 3, 5), None, pl.Datetime("us")),
        (dt.datetime(2024, 3, 5), None, pl.Datetime("us")),
        (dt.datetime(2024, 3, 5), "Europe/Berlin", pl.Datetime("us", "UTC")),
        (dt.datetime(2024, 3, 5, tzinfo=ZoneInfo("Asia/Tokyo")), None, pl.Datetime("us", "UTC")),
    ],
)
def test_times_that_are_no_text_stay_times_with_the_same_dtype_for_no_rows(value, zone, dtype):
    column, values = TimeColumn("at", None, zone), pl.Series("at", [value])
    expected = value if isinstance(value, dt.datetime) else dt.datetime(2024, 3, 5)
    if zone:
        expected = expected.replace(tzinfo=ZoneInfo(zone))
    assert column.normalize(values).to_list() == [expected]
    assert column.normalize(values).dtype == column.normalize(values.clear()).dtype == dtype
