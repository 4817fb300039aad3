"""The line through the reference's days, and its band for new days."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.estimation.day_calibration import DayCalibration

DAYS = np.arange(4)


def fit(expected: list[float], losses: list[float]) -> DayCalibration:
    return DayCalibration.fit(np.array(expected), np.array(losses), np.ones(len(losses)), np.arange(len(losses)))


def test_where_losses_follow_what_was_expected_the_estimate_does_too():
    mean, reach = fit([1.0, 2.0, 3.0, 4.0], [1.5, 2.5, 3.5, 4.5]).predict_mean(5.0, 7)
    assert (mean, reach) == pytest.approx((5.5, 0.0))


def test_where_losses_dont_follow_it_the_estimate_is_the_reference_s_loss():
    assert fit([1.0, 2.0, 3.0, 4.0], [3.0, 2.0, 2.0, 1.0]).predict_mean(9.0, 7)[0] == 2.0
    assert fit([1.0, 1.0, 1.0, 1.0], [3.0, 2.0, 2.0, 1.0]).predict_mean(9.0, 7)[0] == 2.0


def test_the_band_is_wider_the_further_from_the_reference_the_window_is_and_the_fewer_days_it_has():
    line = fit([1.0, 2.0, 3.0, 4.0], [1.0, 2.2, 2.8, 4.0])
    near, far, short = line.predict_mean(2.5, 7)[1], line.predict_mean(6.0, 7)[1], line.predict_mean(2.5, 1)[1]
    assert near < far
    assert near < short


@given(st.lists(st.floats(0, 10), min_size=8, max_size=30))
def test_the_slope_is_between_nothing_and_all_of_a_difference(losses):
    half = len(losses) // 2
    found = fit(losses[:half], losses[half : 2 * half])
    assert 0 <= found.slope <= 1
    assert found.spread >= 0


def test_the_band_contains_the_mean_of_a_new_week_as_often_as_it_says():
    rng, inside = np.random.default_rng(5), 0
    for _ in range(400):
        expected, noise = rng.normal(1, 0.1, 37), rng.normal(0, 0.1, 37)
        line = fit(list(expected[:30]), list((expected + noise)[:30]))
        mean, reach = line.predict_mean(float(expected[30:].mean()), 7)
        inside += abs(mean - (expected + noise)[30:].mean()) <= reach
    assert 0.91 <= inside / 400 <= 0.985
