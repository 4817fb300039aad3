"""Tables and numbers as text."""

import math

import pytest

from penumbra.core.text.tables import align_columns, format_number, format_significant, wrap_lines


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.50123456, "0.5012"), (12.3456, "12.346"), (1834.25, "1,834.2"), (-7_000_000.4, "-7,000,000"), (math.nan, "-")],
)
def test_a_number_has_as_many_digits_as_say_something(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.561e-18, "+0"), (-1e-18, "+0"), (2.5e-7, "+2.5e-07"), (0.50123456, "+0.5012"), (math.nan, "-")],
)
def test_of_a_small_number_the_digits_that_count_are_shown_and_a_rounding_error_is_0(value, text):
    assert format_significant(value, "+") == text


def test_cells_of_any_length_stay_apart():
    assert align_columns([["a", "b"], ["longer", "1,000,000"]]) == "a               b\nlonger  1,000,000"


def test_lines_that_are_too_long_go_on_below_their_last_column():
    text = "check     limit  what\nlatency    1000  median microseconds for a single row\n\n  Next: see"
    assert wrap_lines(text, 40) == (
        "check     limit  what\nlatency    1000  median microseconds for\n                 a single row\n\n  Next: see"
    )
    assert wrap_lines("a sentence of several words", 12) == "a sentence\nof several\nwords"
