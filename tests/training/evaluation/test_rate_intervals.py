"""Intervals of rates over days: within 0 and 1, never a point, and how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.task import Task
from penumbra.training.evaluation.metric_intervals import compute_day_sum_interval, compute_metric_intervals

COUNTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=13, max_size=80)


@given(COUNTS)
def test_a_rate_s_interval_over_days_is_within_its_bounds_and_never_a_point(counts):
    right, wrong = np.array([*counts, (1, 1)], float).T
    met = right + wrong > 0
    found = compute_day_sum_interval("accuracy", right[met], (right + wrong)[met])
    if np.isfinite(found.low):
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert found.high - found.low > 0.05


def test_four_of_88_rows_on_sixty_days_are_no_reason_for_an_interval_of_nearly_everything():
    rows = np.ones(60)
    rows[:28] = 2
    right = rows.copy()
    right[[5, 17, 30, 44]] -= 1
    found = compute_day_sum_interval("true_positive_rate", right, rows)
    assert (found.low, found.high) == pytest.approx((0.89, 0.98), abs=0.03)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("alike", [0.001, 0.1], ids=["independent rows", "rows of a day that are alike"])
@pytest.mark.parametrize(("days", "rows"), [(20, 2), (20, 60), (30, 2), (30, 60), (60, 2), (60, 60)])
def test_an_interval_holds_the_true_rate_as_often_as_it_says(days, rows, alike, rate):
    rng, held = np.random.default_rng(7), 0
    shares = rng.beta(rate * (1 / alike - 1), (1 - rate) * (1 / alike - 1), (200, days))
    for right in rng.binomial(rows, shares).astype(float):
        found = compute_day_sum_interval("accuracy", right, np.full(days, float(rows)))
        held += found.low <= rate <= found.high
    assert held >= 0.93 * 200  # 95 %, less what 200 simulations differ by chance


def test_an_area_of_one_on_every_day_has_no_interval_in_place_of_a_point():
    labels, days = np.arange(120) % 2 == 1, np.arange(120) // 4
    found = compute_metric_intervals(Task("binary"), labels, np.where(labels, 0.8, 0.3), days)
    assert str(found["roc_auc"]) == "1.0000 (no interval)"
