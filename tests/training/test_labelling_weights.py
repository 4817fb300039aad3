"""The rows that a labelled one stands for: right on average, whoever gave the label and whatever was explored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.training.labelling_weights import count_represented_rows

RANDOM = np.random.default_rng(18)


def count(people, probabilities, prevented, explored, shares):
    columns = np.array(people, bool), np.array(probabilities, float), np.array(prevented, bool)
    return count_represented_rows(*columns, np.array(explored, bool), np.array(shares, float)).tolist()


@given(st.integers(1, 20))
def test_outcomes_that_nothing_prevents_count_once(rows):
    nothing = [False] * rows
    assert count(nothing, [1.0] * rows, nothing, nothing, [0.0] * rows) == [1.0] * rows


def test_people_alone_or_exploration_alone_stand_for_all_that_a_decision_prevents():
    assert count([True], [0.1], [True], [False], [0.0]) == pytest.approx([10])
    assert count([False], [1.0], [True], [True], [0.05]) == pytest.approx([20])


@pytest.mark.parametrize("picked_share", [0.0, 0.1])
def test_weighted_counts_of_a_world_with_prevented_outcomes_are_right_on_average(picked_share):
    share, rounds, rows = 0.2, 400, 2000
    truth = RANDOM.random(rows)
    prevented = truth > 0.6
    found = []
    for _ in range(rounds):
        explored = prevented & (RANDOM.random(rows) < share)
        picked = prevented & ~explored & (RANDOM.random(rows) < picked_share)
        known = ~prevented | explored | picked
        weights = count_represented_rows(
            picked[known],
            np.where(picked, picked_share, 1.0)[known],
            prevented[known],
            explored[known],
            np.where(prevented, share, 0.0)[known],
        )
        found.append(np.average(truth[known], weights=weights))
    assert np.mean(found) == pytest.approx(truth.mean(), abs=0.002)
    assert truth[~prevented].mean() < truth.mean() - 0.15
