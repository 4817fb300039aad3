import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from penumbra.promotion.sequential import (
    MIXTURE_RHO,
    compute_log_e_values,
    compute_lower_bound,
    compute_root_mean_squares,
    estimate_blocks_needed,
)

SUMS = arrays(float, st.integers(1, 40), elements=st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3))


def test_the_evidence_of_one_block_is_that_computed_by_hand():
    """The first sum counts as 1 or -1, whatever its unit; 0.6591 is the normal distribution function at 1/√6."""
    expected = math.log(
        2 * 0.658454 * math.sqrt(MIXTURE_RHO / (1 + MIXTURE_RHO)) * math.exp(1 / (2 * (1 + MIXTURE_RHO)))
    )
    assert compute_log_e_values(np.array([7.0])) == pytest.approx([expected], abs=1e-5)


@given(SUMS, st.floats(1e-3, 1e3))
def test_the_unit_of_the_losses_makes_no_difference(sums, unit):
    np.testing.assert_allclose(compute_log_e_values(sums * unit), compute_log_e_values(sums), rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1e-300, 1e200])
def test_sums_whose_squares_no_float_holds_are_weighed_like_others(unit):
    sums = np.array([1.0, -0.5, 2.0] * 5)
    np.testing.assert_allclose(compute_root_mean_squares(sums * unit) / unit, compute_root_mean_squares(sums))
    np.testing.assert_allclose(compute_log_e_values(sums * unit), compute_log_e_values(sums))
    assert compute_lower_bound(sums * unit, np.ones(15), 0.05) / unit == pytest.approx(
        compute_lower_bound(sums, np.ones(15), 0.05)
    )


@given(SUMS, st.integers(1, 40))
def test_what_was_said_of_the_first_blocks_is_not_changed_by_later_ones(sums, count):
    np.testing.assert_allclose(
        compute_log_e_values(sums[:count]), compute_log_e_values(sums)[:count], rtol=1e-9, atol=1e-9
    )


@given(arrays(float, (3, 7), elements=st.floats(-9, 9).filter(lambda x: x == 0 or abs(x) > 1e-3)))
def test_many_streams_at_once_are_the_same_as_each_by_itself(streams):
    np.testing.assert_allclose(
        compute_log_e_values(streams), [compute_log_e_values(each) for each in streams], rtol=1e-9, atol=1e-9
    )


@given(arrays(float, 8, elements=st.floats(0.01, 100)))
def test_over_all_signs_of_the_same_magnitudes_the_evidence_is_at_most_1_on_average(magnitudes):
    """Which is what makes it an e-value wherever gains and losses of the same size are equally likely."""
    signs = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
    assert (np.exp(compute_log_e_values(signs * magnitudes)).mean(axis=0) <= 1 + 1e-9).all()


def test_models_with_the_same_losses_give_no_evidence():
    np.testing.assert_array_equal(compute_log_e_values(np.zeros(30)), 0)


def test_blocks_that_lean_on_each_other_weigh_less_than_the_same_in_another_order():
    high, low = [3.0, 2.0, 3.0, 2.0] * 3, [-1.0, 0.0, -1.0, 0.0] * 3
    mixed = np.ravel(np.column_stack([high, low]))
    assert compute_log_e_values(np.array([*low, *high]))[-1] < compute_log_e_values(mixed)[-1] - 1


@pytest.mark.parametrize(("level", "blocks"), [(0.1, 8), (0.05, 9), (0.02, 12), (0.01, 13)])
def test_the_fewest_blocks_that_can_show_anything(level, blocks):
    shown = compute_log_e_values(np.ones(20)) >= -math.log(level)
    assert shown.argmax() + 1 == blocks


@pytest.mark.slow
@given(SUMS.filter(lambda sums: len(sums) > 12), st.integers(1, 900))
def test_the_lower_bound_is_above_0_just_when_the_evidence_is_beyond_the_level(sums, rows):
    evidence, bound = compute_log_e_values(sums)[-1], compute_lower_bound(sums, np.full(len(sums), float(rows)), 0.05)
    assume(abs(evidence - math.log(20)) > 1e-6)
    assert (bound is not None and bound > 0) == (evidence > math.log(20))


def test_the_bound_is_that_of_a_mean_per_row():
    sums, rows = np.array([3.0, 1.0, 2.0, 2.0] * 5), np.array([300.0, 100.0, 200.0, 200.0] * 5)
    assert compute_lower_bound(sums, rows, 0.05) == pytest.approx(0.01, abs=1e-6)


def test_the_mean_of_equal_models_is_exactly_0():
    assert compute_lower_bound(np.zeros(20), np.full(20, 100.0), 0.05) == 0


def test_too_few_blocks_say_nothing_of_the_mean():
    assert compute_lower_bound(np.array([1.0, 2.0]), np.ones(2), 0.05) is None


def test_the_forecast_comes_true_when_the_days_to_come_are_like_those_so_far():
    sums = np.tile([1.0, -0.6, 0.8, -0.2], 3)
    more = estimate_blocks_needed(sums, 0.02)
    shown = compute_log_e_values(np.tile(sums, 20)) >= math.log(50)
    assert 0.75 <= more / (shown.argmax() + 1 - len(sums)) <= 1.25


@pytest.mark.parametrize("sums", [[], [-1.0, -2.0], [1.0, -1.0], [0.0]])
def test_without_a_gain_so_far_there_is_no_forecast(sums):
    assert estimate_blocks_needed(np.array(sums), 0.02) is None


def test_equal_models_are_shown_to_differ_as_rarely_as_promised():
    """Looked at daily for 180 days, one side; weeks share a sign, and days within one lean on each other by 0.5."""
    random = np.random.default_rng(7)
    noise = random.normal(size=(1000, 26, 8))
    week = (noise[..., 1:] + 0.6 * noise[..., :-1]) * random.choice([-1, 1], (1000, 26, 1))
    days = week.reshape(1000, -1)[:, :180]
    shown = (compute_log_e_values(days) >= math.log(50)).any(axis=1)
    assert shown.mean() <= 0.05


def test_a_better_model_is_found_in_weeks():
    days = np.random.default_rng(8).normal(0.5, 1, size=(300, 180))
    found = compute_log_e_values(days) >= math.log(50)
    assert found.any(axis=1).mean() > 0.9
    assert np.median(found.argmax(axis=1)) < 60
