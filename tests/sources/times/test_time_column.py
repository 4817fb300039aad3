"""The time column: read in any of its forms, and written as the contract reads it."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penumbra.sources import TableFiles, read_times
from penumbra.sources.times.time_column import TimeColumn

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
@example([(dt.datetime(1887, 1, 1, 14, 50), "Z")])
def test_times_with_an_offset_are_written_in_utc_and_counted_by_the_zone(cases):
    written, days = read_text([f"{time:%Y-%m-%d %H:%M:%S}{offset}" for time, offset in cases], "Asia/Tokyo")
    expected = [
        dt.datetime.fromisoformat(
            f"{time:%Y-%m-%dT%H:%M:%S}{'+00:00' if offset.strip() in ('Z', 'UTC') else offset.strip()}"
        ).astimezone(dt.UTC)
        for time, offset in cases
    ]
    assert [dt.datetime.fromisoformat(text) for text in written] == expected
    assert days == [time.astimezone(ZoneInfo("Asia/Tokyo")).date() for time in expected]  # 9 h, since 1888


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
        ("%F %T", "2024-03-05 10:30:00", None, "2024-03-05T10:30:00"),
        ("%D", "03/05/24", None, "2024-03-05T00:00:00"),
        ("%e/%h/%Y %R", "5/Mar/2024 10:30", None, "2024-03-05T10:30:00"),
        ("%d/%m/%Y %-H:%M", "05/03/2024 9:05", None, "2024-03-05T09:05:00"),
        ("%Y-%m-%d %r", "2024-03-05 01:30:00 PM", None, "2024-03-05T13:30:00"),
        ("%Y-%m-%d %H:%M:%S.%f", "2024-03-05 10:30:00.25", None, "2024-03-05T10:30:00.250"),
        ("%Y-%m", "2024-03", None, "2024-03-01T00:00:00"),
        ("%Y%m%d%H", "2024030510", None, "2024-03-05T10:00:00"),
        ("%d.%m.%Y %I %p", "05.03.2024 1 PM", None, "2024-03-05T13:00:00"),
        ("%Y-%m-%d %H:%M %:z", "2024-03-05 10:30 +01", None, "2024-03-05T09:30:00Z"),
        ("%a, %d %b %Y %T %z", "Tue, 05 Mar 2024 10:30:00 GMT", None, "2024-03-05T10:30:00Z"),
        ("%H:%M %z %d-%m-%Y", "10:30 +0100 05-03-2024", None, "2024-03-05T09:30:00Z"),
        ("s", "1709640000000", None, "1709640000000"),  # a millisecond among seconds: the year 56146
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


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("%Y-%j", "'%Y-%j' has %j, which isn't read: expected some of %Y %y %m"),
        ("%G-W%V-%u", "has %G, which isn't read"),
        ("%Y-%m-%d %H:%M %Z", "has %Z, which isn't read"),
        ("%H%M%S%f %F", "has %f, which isn't read"),
        ("%F %", "has %, which isn't read"),
        ("%s", "has %s, which isn't read"),
        ("%d.%m.", "has no year: expected %Y or %y in it"),
        ("%F %I:%M", "has %I without %p: expected %H, or %p for AM and PM"),
        ("%F %M:%S", "has no hour beside its clock or offset"),
        ("%F %z", "has no hour beside its clock or offset"),
    ],
)
def test_what_a_format_has_and_isn_t_read_is_named_wherever_it_is_given(form, words):
    for give in (
        lambda: read_times("at", form=form),
        lambda: TableFiles("orders.csv", time="at", time_format=form),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            give()


def test_several_columns_of_one_format_keep_their_names():
    rows = pl.DataFrame({"a": ["2024-03", None], "b": [202404, 202405]})
    assert rows.select(read_times("a", form="%Y-%m"), read_times("b", form="%Y%m")).rows() == [
        (dt.date(2024, 3, 1), dt.date(2024, 4, 1)),
        (None, dt.date(2024, 5, 1)),
    ]
    assert rows.cast(pl.String).select(read_times("a", "b", form="%Y%m")).columns == ["a", "b"]


@pytest.mark.parametrize(
    ("zone", "day", "moment"),
    [
        ("America/Sao_Paulo", dt.date(2018, 11, 4), "2018-11-04T03:00:00Z"),
        ("Africa/Cairo", dt.date(2023, 4, 28), "2023-04-27T22:00:00Z"),
        ("Asia/Beirut", dt.date(2022, 3, 27), "2022-03-26T22:00:00Z"),
    ],
)
def test_a_day_without_midnight_begins_at_its_first_moment(zone, day, moment):
    assert read_text([day.isoformat()], zone) == ([moment], [day])
    assert read_text([f"{day:%d.%m.%Y}"], zone, "%d.%m.%Y") == ([moment], [day])
    column, dates = TimeColumn("at", None, zone), pl.Series("at", [day])
    assert column.normalize(dates).to_list() == [dt.datetime.fromisoformat(moment)]
    assert column.find_days(dates).to_list() == [day]
    read = pl.DataFrame({"at": [f"{day:%d.%m.%Y}"]}).select(read_times("at", form="%d.%m.%Y", zone=zone))
    assert read.item() == dt.datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (pl.Series("at", ["2024-03-05", "soon"], dtype=pl.Categorical), ["2024-03-05T00:00:00", "soon"]),
        (pl.Series("at", ["2024-03-05"], dtype=pl.Enum(["2024-03-05"])), ["2024-03-05T00:00:00"]),
        (pl.Series("at", [None, None]), [None, None]),
        (pl.Series("at", [], dtype=pl.Null), []),
        (pl.Series("at", [2024]), ["2024"]),
    ],
    ids=["categorical", "enum", "null", "no rows", "numbers"],
)
def test_columns_that_are_no_times_are_read_as_text(values, written):
    column = TimeColumn("at", None, None)
    assert column.normalize(values).to_list() == written
    assert column.normalize(values).dtype == pl.String
    assert column.find_days(values).to_list() == [
        dt.date(2024, 3, 5) if "-" in (each or "") else None for each in written
    ]
