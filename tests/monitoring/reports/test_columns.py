"""Which columns a report can be made of, and which rows."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.reports.columns import MAX_CATEGORY_VALUES, sample_by_hash, select_report_columns

NUMBER, WORD = pl.Float64(), pl.String()
GOOD = pl.DataFrame({"temp": [1.0, None, 3.0], "carrier": ["UA", "AA", None]})
DECLARED = {"temp": NUMBER, "carrier": WORD}


def left_out(current=GOOD, reference=GOOD, declared=DECLARED):
    return select_report_columns(current, reference, declared).left_out


def test_whole_columns_are_reported_on_by_what_they_hold():
    found = select_report_columns(GOOD, GOOD, DECLARED)
    assert (found.numbers, found.categories, found.left_out) == (("temp",), ("carrier",), {})


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (GOOD.with_columns(temp=pl.lit(None, NUMBER)), "nothing but nulls in the window"),
        (GOOD.clear(), "no rows in the window"),
        (GOOD.drop("temp"), "missing in the window"),
        (GOOD.with_columns(temp=pl.lit("61")), "String in the window, where the contract has Float64"),
        (GOOD.with_columns(temp=pl.lit(float("nan"))), "no finite number in the window"),
    ],
)
def test_a_column_that_a_report_would_break_on_is_left_out_and_named(damaged, why):
    assert left_out(damaged)["temp"] == why


def test_it_is_named_too_where_the_reference_is_what_is_damaged():
    assert left_out(reference=GOOD.drop("temp")) == {"temp": "missing in the reference"}


def test_a_category_that_became_a_number_is_left_out():
    assert left_out(GOOD.with_columns(carrier=7)) == {"carrier": "Int32 in the window, where the contract has String"}


def test_a_category_of_very_many_values_is_left_out():
    many = pl.DataFrame({"tail": [str(number) for number in range(MAX_CATEGORY_VALUES + 1)]})
    assert left_out(many, many, {"tail": WORD}) == {
        "tail": "201 different values in the window, of which a report shows 200 at most"
    }


def test_a_moment_is_neither_a_number_nor_a_category():
    assert left_out(declared={"when": pl.Date()}) == {"when": "Date is neither a number nor a category"}


def test_an_enum_may_come_as_text_and_a_whole_number_as_a_float():
    declared = {"temp": pl.Int16(), "carrier": pl.Enum(["UA", "AA"])}
    assert left_out(declared=declared) == {}


@given(st.integers(0, 60), st.integers(1, 50), st.randoms())
def test_a_sample_is_the_same_rows_in_whatever_order_they_come(height, most, random):
    rows = pl.DataFrame({"id": [f"row {number}" for number in range(height)]})
    shuffled = rows[random.sample(range(height), height)] if height else rows
    found = sample_by_hash(rows, ["id"], most, 1)
    assert found.height == min(height, most)
    assert set(found["id"]) == set(sample_by_hash(shuffled, ["id"], most, 1)["id"])


def test_another_seed_gives_another_sample():
    rows = pl.DataFrame({"id": list(range(1000))})
    assert set(sample_by_hash(rows, ["id"], 100, 1)["id"]) != set(sample_by_hash(rows, ["id"], 100, 2)["id"])
