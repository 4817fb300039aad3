"""Faults of the data: found by the day, named with their cause, and none on usual days."""

import datetime as dt
from types import SimpleNamespace

import dataframely as dy
import numpy as np
import polars as pl
import pytest

from monitoring.faults import units
from monitoring.faults.data_faults import (
    DataFault,
    find_data_faults,
    find_fault_changes,
    is_accepted_fault,
)
from monitoring.faults.expectations import Expectations, learn_expectations
from problem import schema
from tests.helpers.problems.regular_flights import make_regular_flights

DAY = dt.date(2013, 3, 1)
NORMS = learn_expectations(pl.concat([make_regular_flights(number) for number in range(30)]), schema)
TODAY = make_regular_flights(40)


HOSTILE = "<b id=marker><!here> http://a.example"


def named(rows: pl.DataFrame) -> set[tuple[str, str]]:
    return {fault.key for fault in find_data_faults(rows, NORMS)}


@pytest.mark.parametrize("number", range(40, 60))
def test_a_usual_day_has_no_fault(number):
    assert find_data_faults(make_regular_flights(number), NORMS) == []


def learn_where_values_come(rows: int, days: int, name: str) -> Expectations:
    """The expectations of a month in which `rows` of each of the last `days` have a `dest` that earlier ones lack."""
    reference = [make_regular_flights(number) for number in range(30)]
    for number in range(30 - days, 30):
        new = pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(name.format(number))).otherwise("dest")
        reference[number] = reference[number].with_columns(dest=new)
    return learn_expectations(pl.concat(reference), schema)


@pytest.mark.slow
@pytest.mark.parametrize(("days", "faults"), [(0, {("new", "dest")}), (10, set())])
def test_a_new_value_is_no_fault_where_many_came_before(days, faults):
    norms = learn_where_values_come(1, days, "N{}")
    assert {fault.key for fault in find_data_faults(FAULTS["new", "dest"], norms)} == faults


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "faults"), [(1, {("new", "dest")}), (20, set())])
def test_a_new_value_is_no_fault_where_one_came_with_about_as_many_rows(rows, faults):
    norms = learn_where_values_come(rows, 10, "N")
    assert {fault.key for fault in find_data_faults(FAULTS["new", "dest"], norms)} == faults


@pytest.mark.slow
def test_a_value_in_the_place_of_another_is_a_fault_where_many_come_and_go():
    norms = learn_where_values_come(1, 10, "N{}")
    assert {fault.key for fault in find_data_faults(FAULTS["renamed", "dest"], norms)} == {("renamed", "dest")}


def test_a_summer_is_no_fault_to_what_has_only_seen_a_winter():
    assert find_data_faults(make_regular_flights(41, warmer=25), NORMS) == []


def celsius(*columns: str) -> pl.Expr:
    return (pl.col(*columns) - 32) / 1.8


def where(condition: pl.Expr, value: object, column: str) -> pl.DataFrame:
    """Today's rows with another value in a column where the condition holds."""
    return TODAY.with_columns(pl.when(condition).then(pl.lit(value)).otherwise(column).alias(column))


EVERY_FIFTH, EVERY_EIGHTH, TWO_AT_ONCE = (pl.col("flight") % number == 1 for number in (5, 8, 50))
FAULTS = {
    ("unit", "temp"): TODAY.with_columns(celsius("temp", "dewp")),
    ("renamed", "dest"): TODAY.with_columns(pl.col("dest").replace("ATL", "XXX")),
    ("new", "dest"): where(EVERY_EIGHTH, "XXX", "dest"),
    ("vanished", "origin"): TODAY.filter(pl.col("origin") != "JFK"),
    ("nulls", "temp"): where(EVERY_FIFTH, None, "temp"),
    ("frozen", "temp"): TODAY.with_columns(temp=pl.lit(50.0)),
    ("range", "pressure"): TODAY.with_columns(pl.col("pressure") * 0.02953),
    ("rule", "dewp"): TODAY.with_columns(celsius("temp")),
    ("constant", "distance"): where(pl.col("dest") == "ATL", 2475, "distance"),
    ("torn", "pressure"): where(TWO_AT_ONCE, None, "pressure"),
    ("missing", "temp"): TODAY.drop("temp"),
    ("type", "temp"): TODAY.with_columns(pl.col("temp").cast(pl.String)),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault[0]} {fault[1]}")
def test_a_fault_is_found_on_its_first_day(fault):
    assert fault in named(FAULTS[fault])


def test_a_sensor_that_is_stuck_in_one_place_is_found_and_the_place_named():
    stuck = where(pl.col("origin") == "EWR", 50.0, "temp")
    (fault,) = [each for each in find_data_faults(stuck, NORMS) if each.what == "frozen"]
    assert "where origin is EWR" in fault.text


def test_a_unit_is_named_with_the_conversion_that_explains_it():
    causes = {fault.column: fault.cause for fault in find_data_faults(FAULTS["unit", "temp"], NORMS)}
    assert causes["temp"] == causes["dewp"] == "its unit changed: °F → °C"


def test_a_distance_in_another_unit_is_told_by_its_routes():
    kilometres = TODAY.with_columns((pl.col("distance") * 1.609344).round().cast(pl.Int16))
    assert [fault.cause for fault in find_data_faults(kilometres, NORMS)] == ["its unit changed: miles → kilometres"]


def test_a_rename_names_both_values():
    (fault,) = find_data_faults(FAULTS["renamed", "dest"], NORMS)
    assert fault.cause == "ATL may have been renamed to XXX"


@pytest.mark.parametrize("other", ["AAA", "ZZZ"])
def test_of_two_new_values_the_one_with_as_many_rows_may_be_the_renamed_one(other):
    renamed = FAULTS["renamed", "dest"]
    came = renamed.filter(pl.col("dest") == "XXX")
    rows = pl.concat([renamed, came.head(came.height * 2 // 3).with_columns(dest=pl.lit(other))])
    causes = [fault.cause for fault in find_data_faults(rows, NORMS) if fault.what == "renamed"]
    assert causes == ["ATL may have been renamed to XXX"]


@pytest.mark.parametrize("after", ["atl", " ATL", "Átl"])
def test_a_new_value_that_is_a_gone_one_but_for_case_blanks_and_accents_is_the_renamed_one(after):
    renamed = FAULTS["renamed", "dest"]
    came = renamed.filter(pl.col("dest") == "XXX").with_columns(dest=pl.lit(after))
    rows = pl.concat([renamed, came.head(came.height * 2 // 3)])
    causes = [fault.cause for fault in find_data_faults(rows, NORMS) if fault.what == "renamed"]
    assert causes == [f"ATL may have been renamed to {after}"]


@pytest.mark.parametrize(
    "rows", [TODAY.with_columns(pl.col("dest").replace("ATL", HOSTILE)), where(EVERY_EIGHTH, HOSTILE, "dest")]
)
def test_a_value_in_a_fault_is_neither_markup_nor_a_mention_nor_a_link(rows):
    (fault,) = find_data_faults(rows, NORMS)
    assert "\\x3cb id=marker\\x3e\\x3c!here\\x3e http\\x3a//a.example" in fault.text
    assert HOSTILE not in f"{fault.text} {fault.cause}"


def test_values_that_no_conversion_explains_are_a_fault_all_the_same():
    shaken = TODAY.with_columns(pl.col("wind_speed") + pl.Series(np.linspace(0.1, 1.0, 120)))
    assert ("values", "wind_speed") in named(shaken)


@pytest.mark.parametrize(
    "empty", [TODAY.with_columns(temp=pl.lit(None)), TODAY.with_columns(temp=pl.lit(None, pl.Float64))]
)
def test_an_empty_column_is_one_fault(empty):
    assert named(empty) == {("nulls", "temp")}


def test_a_day_of_few_rows_is_not_judged():
    assert find_data_faults(FAULTS["nulls", "temp"].head(49), NORMS) == []


def test_there_is_nothing_normal_about_a_single_day():
    with pytest.raises(ValueError, match="at least 2"):
        learn_expectations(make_regular_flights(1), schema)


def test_missing_values_are_told_beside_the_most_of_the_reference() -> None:
    (fault,) = [fault for fault in find_data_faults(FAULTS["nulls", "temp"], NORMS) if fault.what == "nulls"]
    assert fault.text == "20% of temp is missing; on any day of the reference at most 0% was"


TEMP = DataFault("nulls", "temp", "20 % are missing", "a source fell away")
DEST = DataFault("new", "dest", "a new value", "something new")


def test_a_fault_that_lasts_is_one_event():
    assert find_fault_changes([TEMP], set()) == ([TEMP], set())
    assert find_fault_changes([TEMP, DEST], {TEMP.key}) == ([DEST], set())
    assert find_fault_changes([DEST], {TEMP.key, DEST.key}) == ([], {TEMP.key})


@pytest.mark.parametrize("accept", ["2013-03-01 temp", "2013-03-01", "temp"])
def test_what_is_known_can_be_accepted_by_day_and_column(accept):
    assert is_accepted_fault(TEMP, DAY, [accept])
    assert not is_accepted_fault(DEST, DAY + dt.timedelta(1), [accept])


@pytest.mark.parametrize("conversion", units.UNIT_CONVERSIONS, ids=lambda each: each.name)
def test_every_conversion_undoes_itself(conversion):
    x = np.array([0.0, 12.5, 40.0])
    assert conversion.undo_conversion(conversion.factor * x + conversion.offset) == pytest.approx(x)


class NestedRow(dy.Schema):
    at = dy.Datetime()
    tags = dy.List(dy.String(), nullable=True)
    photo = dy.Binary(nullable=True)
    quarter = dy.Date()
    kind = dy.Enum(["a", "b"])


def test_lists_bytes_and_dates_have_no_usual_values_and_may_be_missing_as_rarely_as_others():
    first = dt.datetime(2024, 1, 1)
    rows = pl.DataFrame(
        {
            "at": [first + dt.timedelta(days=n // 60) for n in range(600)],
            "tags": [["new"], []] * 300,
            "photo": [b"\xff", b"\xfe"] * 300,
            "quarter": [dt.date(2024, 1, 1)] * 600,
            "kind": ["a", "b"] * 300,
        }
    )
    norms = learn_expectations(rows, SimpleNamespace(TIME="at", Row=NestedRow, CHECKS=()))
    later = rows.head(60).with_columns(quarter=dt.date(2024, 4, 1), photo=None, kind=pl.lit("a"))
    assert list(norms.categories) == ["kind"]
    assert {fault.key for fault in find_data_faults(later, norms)} == {("nulls", "photo"), ("vanished", "kind")}


def test_numbers_too_large_to_tell_their_last_digit_have_no_step():
    days = [np.array([2.0**63, 2.0**63 + 2.0**62, 1.5e14]), np.array([2.0**63, 1.5e14])]
    grid = units.learn_value_grid(days, whole=True)
    assert grid
    assert grid.step == 0


@pytest.mark.parametrize(("days", "faults"), [(3, set()), (7, {("vanished", "dest")})])
def test_a_value_is_missed_where_the_reference_knows_each_day_of_the_week(days, faults):
    norms = learn_expectations(pl.concat([make_regular_flights(number) for number in range(days)]), schema)
    without = TODAY.filter(pl.col("dest") != "ATL")
    assert {fault.key for fault in find_data_faults(without, norms) if fault.column == "dest"} == faults
