"""The output of `penumbra quarantine`."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import polars as pl
import pytest

from penumbra.cli.reports.quarantine_report import describe_quarantine
from penumbra.sources import TableFiles, read_numbers


class Flight(dy.Schema):
    time = dy.Datetime()
    sched = dy.Datetime(nullable=True)
    fare = dy.Float64()
    carrier = dy.Enum(["AA", "UA"])


def make_problem(conversions: list[pl.Expr] | None = None, **time: Any) -> Any:
    source = TableFiles("flights.csv", time="time", period="month", **time)
    named = SimpleNamespace(parse=source.parse, CONVERSIONS=conversions or [])
    files = {"source": Path("problem/source.py")}
    return SimpleNamespace(schema=SimpleNamespace(Labelled=Flight), source=named, files=files)


PROBLEM = make_problem()

REJECTED = pl.DataFrame(
    {
        "penumbra.batch": ["2013-02"] * 3,
        "penumbra.row": pl.Series([4, 9, 12], dtype=pl.UInt32),
        "penumbra.broken": [["temp|max"], ["temp|max", "carrier|dtype"], ["dewp_not_above_temp"]],
        "carrier": ["UA", "ZZ", "AA"],
        "temp": ["451", "452", "10"],
        "dewp": ["10", "10", "20"],
    }
)


def reject_value(column: str, value: str, batch: str = "2013-02") -> pl.DataFrame:
    arrived = {"fare": "1.5", "toll": "2", "carrier": "AA"} | {column: value}
    return pl.DataFrame(
        {
            "penumbra.batch": [batch],
            "penumbra.row": pl.Series([4], dtype=pl.UInt32),
            "penumbra.broken": [[f"{column}|dtype"]],
            **{name: [text] for name, text in arrived.items()},
        }
    )


def test_an_empty_quarantine_says_that_all_is_well():
    assert describe_quarantine([], PROBLEM) == "The quarantine is empty: every row of every batch keeps the contract."


def test_each_rule_is_counted_with_the_commonest_first():
    lines = describe_quarantine([REJECTED], PROBLEM).splitlines()
    assert lines[0] == "2013-02: 3 rows rejected"
    assert lines[1].startswith("  temp|max: 2 rows")


def test_the_first_row_that_broke_a_columns_rule_is_shown_with_its_original_value():
    assert "  carrier|dtype: 1 row, the first is row 9 with carrier = 'ZZ'" in describe_quarantine([REJECTED], PROBLEM)


def test_a_rule_between_columns_shows_the_whole_row():
    assert "row 12 with carrier = 'AA', temp = '10', dewp = '20'" in describe_quarantine([REJECTED], PROBLEM)


def test_an_unreadable_value_is_shown_with_what_was_expected():
    assert "with carrier = 'ZZ': expected one of AA, UA" in describe_quarantine([REJECTED], PROBLEM)


@pytest.mark.parametrize(
    ("problem", "column", "expected"),
    [
        (make_problem(time_format="%d.%m.%Y %H:%M"), "time", "a time written as '%d.%m.%Y %H:%M' (time_format)"),
        (PROBLEM, "time", "a time such as 2024-03-01T12:00:00, with or without an offset, or a date"),
        (PROBLEM, "sched", "a time without offset, such as 2024-03-01T12:00:00"),
        (
            make_problem([read_numbers("fare", decimal=",")]),
            "fare",
            "a number such as 1234.5, by CONVERSIONS of problem/source.py",
        ),
        (make_problem([pl.col("fare", "toll").str.replace(",", ".")]), "carrier", "one of AA, UA"),
        (
            make_problem([pl.col("carrier", "toll").str.strip_chars()]),
            "carrier",
            "one of AA, UA, by CONVERSIONS of problem/source.py",
        ),
        (make_problem([pl.col("gone").alias("carrier")]), "carrier", "one of AA, UA"),
    ],
)
def test_of_an_unreadable_time_the_format_is_named_by_which_the_column_is_read(problem, column, expected):
    (line,) = describe_quarantine([reject_value(column, "31/02")], problem).splitlines()[1:]
    assert line == f"  {column}|dtype: 1 row, the first is row 4 with {column} = '31/02': expected {expected}"


def test_an_unreadable_value_of_a_column_that_the_contract_has_no_more_is_shown_still():
    (line,) = describe_quarantine([reject_value("gone", "?")], PROBLEM).splitlines()[1:]
    assert line.endswith("the first is row 4 with gone = '?': the contract has no such column any more")


def test_no_conversion_is_named_in_a_batch_of_the_flywheel_which_is_read_without():
    problem = make_problem([read_numbers("fare", decimal=",")])
    shown = describe_quarantine([reject_value("fare", "?", batch="2013-02+flywheel-7")], problem)
    assert shown.endswith("expected a number such as 1234.5")
