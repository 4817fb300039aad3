"""How wrong decisions are, and what that says of all rows."""

import polars as pl
import pytest

from penumbra.reviews.measures.error_rates import compute_decision_errors, describe_mean_error, estimate_error


@pytest.mark.parametrize(
    ("decisions", "targets", "errors"),
    [
        ([True, False, True], [True, True, None], [0.0, 1.0, None]),
        (["a", "b", "a"], ["a", "a", None], [0.0, 1.0, None]),
        ([2.5, 1.0, 0.0], [2.0, 3.0, None], [0.5, 2.0, None]),
    ],
)
def test_a_wrong_decision_is_an_error_and_numbers_err_by_their_distance(decisions, targets, errors):
    assert compute_decision_errors(pl.Series(decisions), pl.Series(targets)).to_list() == errors


def test_a_row_that_was_picked_with_a_small_chance_stands_for_many():
    estimate = estimate_error(pl.Series([1.0, 0.0, None]), [1.0, 0.25, 0.5], [False] * 3, "binary")
    assert (estimate.answered, estimate.picked) == (2, 3)
    assert estimate.value == pytest.approx(0.2)


def test_an_error_of_numbers_is_a_mean_in_their_unit():
    estimate = estimate_error(pl.Series([10.0, 20.0, 30.0]), [0.5, 0.5, 0.5], [False] * 3, "regression")
    assert describe_mean_error(estimate, "regression").startswith("mean error 20 (95 %:")


def test_two_answers_of_which_one_stands_for_nearly_all_rows_give_no_interval():
    estimate = estimate_error(pl.Series([10.0, 20.0]), [1.0, 0.1], [False] * 2, "regression")
    assert describe_mean_error(estimate, "regression").startswith("mean error 19.09 (no interval), from 2 of 2")


def test_without_answers_nothing_is_claimed():
    nothing = estimate_error(pl.Series([None, None], dtype=pl.Float64), [0.5, 0.5], [False] * 2, "binary")
    assert describe_mean_error(nothing, "binary") == "no error rate yet: none of 2 picked rows is answered"
