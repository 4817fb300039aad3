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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"thousands": "."}, r"decimal = '.' and thousands = '.': expected two different characters"),
        ({"decimal": ",", "thousands": ","}, "expected two different characters"),
        ({"decimal": ""}, "decimal = '' and thousands = '': expected two different characters"),
        ({"thousands": "5"}, "that don't stand for something else in a number"),
        ({"decimal": None}, "decimal = None, .*: expected texts"),
        ({"signs": "kg"}, "signs = 'kg': expected texts, and a tuple of texts"),
    ],
)
def test_signs_that_cannot_be_told_apart_are_refused(options, words):
    """With "." for thousands alone 12.5 was read as 125."""
    with pytest.raises(ValueError, match=words):
        read_numbers("n", **options)
