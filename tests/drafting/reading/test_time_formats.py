import polars as pl
import pytest

from penumbra.drafting.reading.time_formats import find_epoch_unit, find_time_format


def find(*values, decimal=None):
    return find_time_format(pl.Series("value", values), decimal)


@pytest.mark.parametrize(
    ("value", "form", "has_clock", "has_offset"),
    [
        ("2024-03-31", None, False, False),
        ("2024-03-31 12:30", None, True, False),
        ("2024-03-31T12:30:05.250", None, True, False),
        ("2024-03-31T12:30:05Z", None, True, True),
        ("2024-03-31 12:30:05+01:00", None, True, True),
        ("2024/03/31", "%Y/%m/%d", False, False),
        ("31.03.2024", "%d.%m.%Y", False, False),
        ("31.3.24", "%d.%m.%y", False, False),
        ("31.03.2024 12:30", "%d.%m.%Y %H:%M", True, False),
        ("31/03/2024", "%d/%m/%Y", False, False),
        ("03/31/2024", "%m/%d/%Y", False, False),
        ("3/31/24 1:05 PM", "%m/%d/%y %I:%M %p", True, False),
        ("03/31/2024 12:30:05", "%m/%d/%Y %H:%M:%S", True, False),
        ("31 Mar 2024", "%d %b %Y", False, False),
        ("31-Mar-24", "%d-%b-%y", False, False),
        ("March 31, 2024", "%B %d, %Y", False, False),
        ("31/Mar/2024:12:30:05 +0100", "%d/%b/%Y:%H:%M:%S %z", True, True),
        ("2024-03", "%Y-%m", False, False),
        ("Mar 2024", "%b %Y", False, False),
        ("2024-03-31 12:30:05+00", "%Y-%m-%d %H:%M:%S %z", True, True),
        ("2024-03-31 12:30:05.5 UTC", "%Y-%m-%d %H:%M:%S%.f %z", True, True),
        ("Sun, 31 Mar 2024 12:30:05 GMT", "%a, %d %b %Y %H:%M:%S %z", True, True),
        ("Sun Mar 31 12:30:05 2024", "%a %b %d %H:%M:%S %Y", True, False),
        ("Sun Mar 31 12:30:05 +0000 2024", "%a %b %d %H:%M:%S %z %Y", True, True),
        ("20240331T123005", "%Y%m%dT%H%M%S", True, False),
        ("20240331T1230Z", "%Y%m%dT%H%M%z", True, True),
    ],
)
def test_a_format_of_times_is_found(value, form, has_clock, has_offset):
    found = find(value)
    assert (found.form, found.has_clock, found.has_offset, found.is_open) == (form, has_clock, has_offset, False)


@pytest.mark.parametrize("value", ["north", "A-12", "12", "3.5", "1-2", "2024-03-31 25:99", "v1.2.3", "10.0.0.1"])
def test_what_is_no_time_has_no_format(value):
    assert find(value) is None


def test_one_value_tells_day_and_month_apart_for_the_whole_column():
    assert find("03/04/2024", "05/06/2024", "13/04/2024").form == "%d/%m/%Y"
    assert find("03/04/2024", "05/06/2024", "04/13/2024").form == "%m/%d/%Y"


def test_dates_that_are_all_the_first_of_a_month_are_monthly():
    assert find("01/02/2024", "01/03/2024").form == "%d/%m/%Y"
    assert find("02/01/2024", "03/01/2024").form == "%m/%d/%Y"


def test_where_no_value_tells_them_apart_the_month_is_first_but_in_a_table_with_decimal_commas():
    american, german = find("03/04/2024", "05/06/2024"), find("03/04/2024", "05/06/2024", decimal=",")
    assert (american.form, german.form) == ("%m/%d/%Y", "%d/%m/%Y")
    assert american.is_open
    assert american.reason == "dates such as 03/04/2024 are read with the month before the day; no value tells"


@pytest.mark.parametrize(
    ("number", "unit"),
    [(1_709_251_200, "s"), (1_709_251_200_000, "ms"), (1_709_251_200_000_000, "us"), (42, None), (20_240_301, None)],
)
def test_the_unit_of_numbers_since_1970_is_told_by_their_size(number, unit):
    found = find_epoch_unit(pl.Series([number, number + 1]))
    assert (found and found.form) == unit
