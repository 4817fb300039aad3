import polars as pl
import pytest

from penumbra.drafting.draft import NumberFormat
from penumbra.drafting.reading.number_formats import apply_number_format, find_decimal_sign, find_number_format


def find(*values, decimal=None):
    return find_number_format(pl.Series("value", values), decimal)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["3,5", "12,25"], NumberFormat(",")),
        (["1,234.50", "999.00"], NumberFormat(".", ",")),
        (["1.234,50", "999,00"], NumberFormat(",", ".")),
        (["1 234,50", "999,00"], NumberFormat(",", " ")),
        (["1\u00a0234\u202f567,89", "9,5"], NumberFormat(",", " ")),
        (["1'234.50", "999.00"], NumberFormat(".", "'")),
        (["1\u2019234.50", "999.00"], NumberFormat(".", "\u2019")),
        (["$5.00", "$1,200.00"], NumberFormat(".", ",", ("$",))),
        (["-$5.00", "$7.10"], NumberFormat(".", "", ("$",))),
        (["5,00 €", "1.200,00 €"], NumberFormat(",", ".", ("€",))),
        (["5,00 EUR", "7,10 EUR"], NumberFormat(",", "", ("EUR",))),
        (["€5", "$7", "£1"], NumberFormat(".", "", ("$", "£", "€"))),
        (["12 %", "7.5 %"], NumberFormat(".", "", ("%",))),
        (["12kg", "7.5kg"], NumberFormat(".", "", ("kg",))),
        (["-20,5°C", "3,0°C"], NumberFormat(",", "", ("°C",))),
        (["(1,234.50)", "999.00"], NumberFormat(".", ",")),
        (["1.234,50-", "999,00"], NumberFormat(",", ".")),
        (["($5.00)", "$7.10"], NumberFormat(".", "", ("$",))),
        (["5,00- EUR", "(5,00) EUR", "7,10 EUR"], NumberFormat(",", "", ("EUR",))),
        (["\u22125.5", "7"], NumberFormat()),
    ],
)
def test_a_spelling_of_numbers_is_found(values, expected):
    assert find(*values) == expected


@pytest.mark.parametrize(
    "values",
    [
        *(["Q1", "Q2"], ["5A", "12B"], ["A12", "B7"], ["1.2.3", "4.5.6"], ["12:30", "13:00"], ["m-7", "m-8"]),
        *(["7-A", "8-A"], ["7 (A)", "8 (A)"], ["(555) 123", "(555) 124"], ["7A-", "8A-"]),
    ],
)
def test_text_with_digits_in_it_is_no_number(values):
    assert find(*values) is None


def test_three_digits_after_a_comma_are_thousands_unless_the_table_has_decimal_commas():
    assert find("1,234", "12,500") == NumberFormat(".", ",")
    assert find("1,234", "12,500", decimal=",") == NumberFormat(",")
    assert find("0,125", "1,500") == NumberFormat(",")


def test_three_digits_after_a_point_are_thousands_in_a_table_with_decimal_commas():
    assert find("1.234 €", "12.500 €") == NumberFormat(".", "", ("€",))
    assert find("1.234 €", "12.500 €", decimal=",") == NumberFormat(",", ".", ("€",))


def test_the_table_s_decimal_sign_is_told_by_the_columns_that_can_be_read_one_way_only():
    def sign(*columns):
        return find_decimal_sign([pl.Series(values) for values in columns])

    assert sign(["1,234"], ["3,5"]) == ","
    assert sign(["1,234"], ["3.5"]) == "."
    assert sign(["1,234"], ["a, b"]) is None
    assert sign(["1,234"], ["(3,5)", "3,0-"]) == ","
    assert sign(["1,234"], ["1,200.00", "12,400.500"]) == "."
    assert sign(["1.234"], ["1.200,00", "3,5"]) == ","
    assert sign(["1,234"], ["1,234,567"]) is None


def test_what_a_spelling_doesn_t_read_is_null():
    rows = pl.DataFrame({"value": ["1.234,5", "1.23,4", "12", "x", None]})
    read = rows.select(apply_number_format("value", NumberFormat(",", "."))).to_series()
    assert read.to_list() == ["1234.5", None, "12", None, None]
