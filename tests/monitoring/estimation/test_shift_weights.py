"""Weights of reference rows by how much more frequent such rows are in a window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.estimation.shift_weights import ShiftWeights, compute_effective_size, compute_shift_weights
from penumbra.core.day_folds import assign_day_folds

DAYS, WEEK = np.repeat(np.arange(30), 40), np.repeat(np.arange(7), 40)


def weigh(shift: float, level: float = 0.0, seed: int = 1) -> tuple[np.ndarray, ShiftWeights]:
    """The reference's one input, and its weights for a week in which it is higher; days differ by `level`."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=len(DAYS)) + level * rng.normal(size=30)[DAYS]
    now = rng.normal(shift, size=len(WEEK)) + level * rng.normal(size=7)[WEEK]
    return before, compute_shift_weights(before[:, None], DAYS, now[:, None], WEEK, [])


def test_rows_like_those_of_the_window_weigh_more():
    before, found = weigh(1.0)
    assert np.average(before, weights=found.weights) == pytest.approx(1.0, abs=0.25)
    assert 100 < found.effective_rows < 900
    assert found.covered > 0.75


def test_of_a_window_unlike_anything_in_the_reference_hardly_any_row_is_covered():
    assert weigh(9.0)[1].covered < 0.25


@pytest.mark.slow
def test_without_a_shift_all_rows_weigh_nearly_the_same():
    for seed in range(3):
        assert weigh(0.0, seed=seed)[1].effective_rows > 0.95 * len(DAYS)


@pytest.mark.slow
def test_days_that_differ_as_days_do_are_no_shift_that_leaves_a_few_days_alone():
    for seed in range(3):
        assert weigh(0.0, level=0.5, seed=seed)[1].effective_days > 15


def test_where_the_window_has_too_few_days_to_learn_from_all_rows_weigh_the_same():
    found = compute_shift_weights(
        np.zeros((90, 1)), np.repeat(np.arange(9), 10), np.ones((20, 1)), np.arange(20) % 2, []
    )
    assert set(found.weights) == {1.0}


def test_folds_are_stretches_of_days():
    assert assign_day_folds(np.array([5, 1, 1, 9, 3, 7, 8])).tolist() == [1, 0, 0, 2, 0, 1, 2]


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=50))
def test_the_effective_size_lies_between_one_and_the_number_of_weights(weights):
    assert 1 - 1e-9 <= compute_effective_size(np.array(weights)) <= len(weights) + 1e-9


@given(st.integers(1, 40), st.floats(0.1, 10))
def test_equal_weights_are_worth_all_of_them(count, weight):
    assert compute_effective_size(np.full(count, weight)) == pytest.approx(count)
