"""The benchmark of refitted models, on a few weeks of one."""

import numpy as np
import pytest

from benchmarks.statistics.refits import judge_model


@pytest.mark.slow
def test_a_small_tree_is_drift_by_the_reference_of_the_fit_before_and_not_by_its_own_days() -> None:
    by_reference, by_own_days = judge_model("tree of depth 5", seed=0, weeks=12)
    assert np.mean(by_reference) > 0.5
    assert not any(by_own_days)


@pytest.mark.slow
def test_scores_that_change_after_some_weeks_are_drift_by_the_model_s_own_days() -> None:
    _, found = judge_model("tree of depth 5", seed=0, weeks=10, changed=7)
    assert found == [False] * 7 + [True] * 3
