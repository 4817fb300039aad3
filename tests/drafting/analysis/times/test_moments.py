"""The time of a draft's rows: found, asked for, or made up, and the period of its batches."""

import datetime as dt
import shlex

import pytest

from penumbra.drafting.analysis.problem_analysis import draft_problem
from penumbra.drafting.draft import DraftQuestion, DraftRefused
from tests.helpers.problems.drafted_orders import (
    FIRST_DAY,
    ROWS,
    draft_orders,
    draft_table,
    get_column,
    make_orders,
)


def test_of_several_times_the_one_that_isn_t_of_what_follows_is_taken(tmp_path):
    shipped = [(FIRST_DAY + dt.timedelta(days=n // 2 + n % 3)).isoformat() for n in range(ROWS)]
    found = draft_orders(tmp_path, shipped=shipped)
    assert found.source.time == "day"
    assert get_column(found, "day").reason == "taken for the time of a row, rather than shipped"


def test_of_several_columns_with_the_same_time_the_one_with_a_clock_is_taken_unasked(tmp_path):
    found = draft_orders(
        tmp_path, moment=[f"{FIRST_DAY + dt.timedelta(days=n // 2)} {n % 24:02}:30" for n in range(ROWS)]
    )
    assert found.source.time == "moment"
    assert get_column(found, "day").reason == "tells the time of 'moment' once more, as another time"


def test_where_several_times_fit_the_user_is_asked(tmp_path):
    table = make_orders(measured=["2024-01-01", "2024-01-02"])
    with pytest.raises(DraftQuestion) as asked:
        draft_table(tmp_path, table)
    assert (asked.value.option, asked.value.candidates) == ("--time", ("day", "measured"))
    assert str(asked.value) == (
        "several columns have times (day, measured): pass --time with the one that tells when a row happened, that is "
        "when its prediction would have been made"
    )
    assert draft_table(tmp_path, table, time="measured").source.time == "measured"


def test_where_no_column_has_times_the_user_is_asked_and_days_can_be_made_up(tmp_path):
    table = make_orders()
    del table["day"]
    with pytest.raises(DraftQuestion, match="no column has times: pass --no-time") as asked:
        draft_table(tmp_path, table)
    assert asked.value.candidates == ()
    found = draft_table(tmp_path, table, time=None)
    assert (found.columns[0].name, found.columns[0].role, found.columns[0].features) == ("time", "time", ())
    assert found.source.options == {"rows_per_day": 2}
    assert (found.first_day, found.last_day, found.days) == (dt.date(2000, 1, 1), dt.date(2000, 7, 18), 200)


def test_a_column_of_times_of_several_forms_is_named_with_one_of_each(tmp_path):
    table = make_orders()
    table["day"] = [f"{day[5:7]}/{day[8:]}/{day[:4]}" if n % 3 else day for n, day in enumerate(table["day"])]
    with pytest.raises(DraftQuestion) as asked:
        draft_table(tmp_path, table)
    assert str(asked.value) == (
        "no column has times, but 'day' has times of several forms, such as '01/01/2024' and '2024-01-01': write them "
        "in one form, or pass --no-time"
    )


@pytest.mark.parametrize(("far", "last"), [("1900-01-01", "2024-07-16"), ("2035-01-01", "2024-07-17")])
def test_a_few_rows_of_another_century_or_a_far_year_are_refused_with_the_days_of_the_others(tmp_path, far, last):
    table = make_orders()
    table["day"][3] = far
    with pytest.raises(DraftRefused) as refused:
        draft_table(tmp_path, table, period="month")
    assert str(refused.value) == (
        f"'day' is {far} and the like in 1 of 400 rows, far from all others, which are of 2024-01-03 to {last}: "
        "batches and the clock go by it, so correct these rows or leave them out first"
    )


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["1700000000", "1700086400"], "s"),
        (["1700000000123", "1700086400000"], "ms"),
        (["20240301", "20240302"], "%Y%m%d"),
        (["2019", "2020"], "%Y"),
        (["01.03.2024 10:30", "13.03.2024 10:30"], "%d.%m.%Y %H:%M"),
    ],
)
def test_the_user_s_choice_of_a_time_is_read_whatever_its_name(tmp_path, values, form):
    found = draft_table(tmp_path, make_orders(moved=values), time="moved")
    assert found.source.options == {"time_format": form}


@pytest.mark.parametrize(
    ("time", "sentence"),
    [
        ("amount", "--time 'amount' has no times that could be read: expected dates such as 2024-03-01"),
        ("gap", "--time 'gap' has no time in"),
        ("when", "has no column 'when': it has"),
    ],
)
def test_a_choice_of_the_user_s_that_has_no_times_is_refused(tmp_path, time, sentence):
    with pytest.raises(DraftRefused, match=sentence):
        draft_table(tmp_path, make_orders(gap=["2024-01-01", ""]), time=time)


@pytest.mark.parametrize(
    ("days", "rows_per_day", "period"),
    [
        (400, 2, "month"),
        (100, 2, "week"),
        (20, 20, "day"),
        (3650, 1, "month"),
        (1000, 0.2, "quarter"),
        (150, 2, "month"),
    ],
)
def test_the_period_gives_some_batches_that_aren_t_tiny(tmp_path, days, rows_per_day, period):
    rows = int(days * rows_per_day)
    table = make_orders(rows)
    table["day"] = [(FIRST_DAY + dt.timedelta(days=int(n / rows_per_day))).isoformat() for n in range(rows)]
    assert draft_table(tmp_path, table).source.period == period
    assert draft_table(tmp_path, table, period="year").source.period == "year"


def test_a_column_of_years_is_named_as_a_time_and_makes_a_batch_of_each_year(tmp_path):
    years = {"year": [f"{1980 + n * 7 // ROWS}" for n in range(ROWS)]}
    table = make_orders(**years)
    del table["day"]
    with pytest.raises(DraftQuestion, match="no column has times, but year may be the year of a row: pass --time year"):
        draft_table(tmp_path, table)
    found = draft_table(tmp_path, table, time="year")
    assert (found.source.period, found.source.options) == ("year", {"time_format": "%Y"})
    assert (found.first_day, found.last_day) == (dt.date(1980, 1, 1), dt.date(1986, 12, 31))
    assert get_column(found, "year").features == ()
    assert found.notes[0] == (
        "all rows of a year have the same day, so each day that intervals, gate and promotion count takes a year: "
        "where requests will come daily, send the day of each, or pass --no-time"
    )


@pytest.mark.slow
def test_columns_of_year_month_and_day_are_made_a_date_by_the_query_that_is_named(tmp_path):
    table = make_orders()
    for part, number in (("year", 0), ("month", 1), ("day_", 2)):
        table[part] = [str(int(day.split("-")[number])) for day in table["day"]]
    table["day"] = table.pop("day_")
    with pytest.raises(DraftQuestion, match="year, month, day may be the date of a row") as asked:
        draft_table(tmp_path, table)
    options = shlex.split(str(asked.value).partition("it, with ")[2])
    assert options[:3] == ["--from", "duckdb://", "--query"]
    found = draft_problem("duckdb://", "late", query=options[3])
    assert (found.first_day, get_column(found, "date").role) == (dt.date(2024, 1, 1), "time")


def test_days_that_a_spreadsheet_has_counted_are_made_times_by_the_query_that_is_named(tmp_path):
    table = make_orders()
    table["Date"] = [f"{45292 + n // 2}.5" for n, _ in enumerate(table.pop("day"))]
    with pytest.raises(DraftQuestion, match="Date may count days as spreadsheets do") as asked:
        draft_table(tmp_path, table)
    query = shlex.split(str(asked.value).partition("it, with ")[2])[3]
    found = draft_problem("duckdb://", "late", query=query)
    assert (found.source.time, found.first_day) == ("Date", dt.date(2024, 1, 1))
    assert get_column(found, "Date").example == "2024-07-18T12:00:00"


def test_of_made_up_days_the_columns_that_go_with_the_order_are_accepted_and_told(tmp_path):
    table = make_orders(region=["north"] * (ROWS // 2) + ["south"] * (ROWS // 2))
    del table["day"]
    found = draft_table(tmp_path, table, time=None)
    assert "region" in found.ordered
    assert found.notes[-1].startswith("the rows are in an order by region")
    assert draft_orders(tmp_path).ordered == ()
