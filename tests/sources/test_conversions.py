"""Numbers as people spell them."""

import polars as pl
import pytest

from penumbra.sources import read_numbers


@pytest.mark.parametrize(
    ("text", "options", "number"),
    [
        ("1.234,50 €", {"decimal": ",", "thousands": ".", "signs": ("€",)}, "1234.50"),
        ("(1,234.50)", {"thousands": ","}, "-1234.50"),
        ("1,234.50-", {"thousands": ","}, "-1234.50"),
        ("1.234,50 -", {"decimal": ",", "thousands": "."}, "-1234.50"),
        ("($ 5)", {"signs": ("$",)}, "-5"),
        ("$ (5)", {"signs": ("$",)}, "-5"),
        ("( 5 EUR )", {"signs": ("EUR",)}, "-5"),
        ("5,00- EUR", {"decimal": ",", "signs": ("EUR",)}, "-5.00"),
        ("\u22125.5", {}, "-5.5"),
        (" - 5 ", {}, "-5"),
        ("(1 234)", {"thousands": " "}, "-1234"),
    ],
)
def test_a_number_is_read_with_its_sign(text, options, number):
    assert pl.DataFrame({"n": [text]}).select(read_numbers("n", **options)).item() == number


@pytest.mark.parametrize(
    "text", ["(5", "5)", "(-5)", "-5-", "(5-)", "-(5)", "--5", "()", "-", "5-3", "5 (3)", "((5))", ""]
)
def test_what_is_no_number_is_null(text):
    assert pl.DataFrame({"n": [text]}).select(read_numbers("n")).item() is None
