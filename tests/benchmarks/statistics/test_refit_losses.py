"""The benchmark of refitted models' losses, on a few weeks of a few of them."""

import numpy as np
import pytest

from benchmarks.statistics.refit_losses import ModelLife, draw_life

WEEKS = range(1, 12)
WORST_SEEDS = range(8)


@pytest.fixture(scope="module")
def lives() -> list[ModelLife]:
    return [draw_life("linear", "inputs", seed) for seed in WORST_SEEDS]


@pytest.mark.slow
def test_a_line_through_far_inputs_alarms_by_the_reference_of_the_fit_before_and_not_by_the_raised_one(
    lives: list[ModelLife],
) -> None:
    plain, raised = (
        np.mean([life.has_alarm(reference, week) for life in lives for week in WEEKS])
        for reference in ("as it is", "raised")
    )
    assert plain > 0.1
    assert raised < 0.02


def test_turned_labels_are_seen_by_each_reference() -> None:
    life = draw_life("linear", "neither", seed=0)
    assert [life.sees_change(reference, 9) for reference in ("as it is", "raised", "own days")] == [True] * 3
