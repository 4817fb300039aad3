"""The rows that a labelled one stands for: right on average, whoever gave the label and whatever was explored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.training.labelling_weights import count_represented_rows

RANDOM = np.random.default_rng(18)


def count(probabilities, picked, explored, shares):
    columns = np.array(probabilities, float), np.array(picked, bool), np.array(explored, bool)
    return count_represented_rows(*columns, np.array(shares, float)).tolist()


@given(st.integers(1, 20))
def test_outcomes_that_nothing_prevents_count_once(rows):
    nothing = [False] * rows
    assert count([1.0] * rows, nothing, nothing, [0.0] * rows) == [1.0] * rows


def test_people_alone_or_exploration_alone_stand_for_all_that_a_decision_prevents():
    assert count([0.1], [True], [False], [0.0]) == pytest.approx([10])
    assert count([1.0], [False], [True], [0.05]) == pytest.approx([20])


def test_where_both_are_at_work_picked_rows_stand_for_themselves_and_an_explored_one_for_the_others():
    assert count([0.01, 0.01, 1.0, 1.0], [True, True, True, False], [False, True, True, True], [0.5] * 4) == [
        1,
        1,
        1,
        2,
    ]


@pytest.mark.parametrize("picked_share", [0.0, 0.1])
@pytest.mark.parametrize("late_share", [0.0, 0.5])
def test_weighted_counts_of_a_world_with_prevented_outcomes_are_right_on_average(picked_share, late_share):
    share, rounds, rows = 0.2, 400, 2000
    truth = RANDOM.random(rows)
    prevented = truth > 0.6
    sums, numbers = [], []
    for _ in range(rounds):
        explored = prevented & (RANDOM.random(rows) < share)
        picked = RANDOM.random(rows) < picked_share
        by_people = prevented & ~explored & picked
        late = by_people & (RANDOM.random(rows) < late_share)
        counted = [known for known in ((~prevented | explored | by_people) & ~late, late) if known.any()]
        weights, found = [], []
        for known in counted:
            chances = np.where(by_people, picked_share, 1.0)[known]
            shares = np.where(prevented, share, 0.0)[known]
            weights.append(count_represented_rows(chances, picked[known], explored[known], shares))
            found.append(truth[known])
        numbers.append(np.concatenate(weights).sum())
        sums.append(np.concatenate(weights) @ np.concatenate(found))
    assert np.mean(numbers) == pytest.approx(rows, rel=0.005)
    assert np.sum(sums) / np.sum(numbers) == pytest.approx(truth.mean(), abs=0.002)
    assert truth[~prevented].mean() < truth.mean() - 0.15
