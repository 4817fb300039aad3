"""How a column has shifted, in words."""

import numpy as np
import pytest

from monitoring.explanations.column_shifts import describe_shift, project_days
from penumbra.core.histograms import Binning

BINNING = Binning({"temp": [10.0, 20.0, 30.0]}, {"carrier": ["AA", "DL", "UA"], "penumbra.prediction": ["0", "1"]})


def describe(column: str, now: list[int], then: list[int], classes: tuple[str, ...] = ()) -> str:
    return describe_shift(BINNING, column, np.array(now), np.array(then), classes)


def test_a_number_that_is_higher_is_said_with_its_quartiles():
    assert describe("temp", [0, 25, 25, 50, 0], [50, 25, 25, 0, 0]) == (
        "higher: quartiles 10, 10, 20 → 20, 30, above 30"
    )


def test_a_number_that_is_lower_or_missing_more_often():
    assert describe("temp", [80, 0, 0, 0, 20], [0, 100, 0, 0, 0]) == (
        "lower: quartiles 20, 20, 20 → 10, 10, 10; missing in 0.0% → 20.0%"
    )


def test_a_number_with_the_same_middle_has_the_values_that_grew_and_shrank():
    assert describe("temp", [50, 0, 0, 50, 0], [0, 50, 50, 0, 0]) == (
        "more up to 10 (0.0% → 50.0%), above 30 (0.0% → 50.0%); less 20 to 30 (50.0% → 0.0%), 10 to 20 (50.0% → 0.0%)"
    )


def test_a_number_that_is_missing_everywhere_says_that_alone():
    assert describe("temp", [0, 0, 0, 0, 9], [9, 0, 0, 0, 0]) == "missing in 0.0% → 100.0%"


def test_words_that_grew_and_shrank_are_named():
    assert describe("carrier", [10, 30, 40, 20, 0], [30, 30, 40, 0, 0]) == (
        "more other values (0.0% → 20.0%); less AA (30.0% → 10.0%)"
    )


def test_classes_have_their_names():
    assert describe("penumbra.prediction", [10, 30, 0, 0], [30, 10, 0, 0], ("clear", "rain")) == (
        "more rain (25.0% → 75.0%); less clear (75.0% → 25.0%)"
    )


def test_what_clients_sent_is_escaped():
    odd = Binning({}, {"carrier": ["<b>"]})
    assert "\\x3cb\\x3e" in describe_shift(odd, "carrier", np.array([9, 0, 0]), np.array([1, 8, 0]))


def test_days_are_placed_between_the_reference_and_the_window():
    days = np.array([[10, 0], [0, 10], [5, 5], [0, 0]])
    placed = project_days(days, np.array([0, 10]), np.array([10, 0]))
    assert placed[:3].tolist() == [-1, 1, 0]
    assert np.isnan(placed[3])


def test_days_that_are_as_the_reference_lie_where_it_does():
    assert project_days(np.array([[6, 4]]), np.array([5, 5]), np.array([5, 5])).tolist() == [0]


@pytest.mark.parametrize("column", ["temp", "carrier"])
def test_no_rows_say_nothing(column):
    assert describe(column, [0] * 5, [0] * 5) == ""
