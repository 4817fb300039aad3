import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from penumbra.promotion import betting
from penumbra.promotion.sequential import compute_log_e_values, compute_lower_bound

SUMS = arrays(float, st.integers(1, 40), elements=st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3))


def list_outcomes(gain, loss, days):
    """Every course of days on each of which a candidate gains `gain` or loses `loss`, with its probability, so that it
    is no better on average."""
    is_rare = ((np.arange(2**days)[:, None] >> np.arange(days)) & 1).astype(bool)
    chance = gain / (gain + loss)
    return np.where(is_rare, -loss, gain), np.prod(np.where(is_rare, chance, 1 - chance), axis=1)


# The capital


def test_the_capital_of_two_days_is_that_computed_by_hand():
    """The worst day lost 1, the root mean square is 2: the bound is 9, and (1 + √7 / 9) (1 - 1 / 9) is left."""
    assert betting.compute_log_capital(np.array([math.sqrt(7), -1.0]))[-1] == pytest.approx(
        math.log((1 + math.sqrt(7) / 9) * 8 / 9)
    )


@given(st.floats(0.05, 3), st.floats(0.05, 3))
def test_with_a_bound_that_is_known_the_capital_stays_1_on_average_whatever_the_skew(gain, loss):
    sums, chances = list_outcomes(gain, loss, 8)
    capital = np.exp(betting.bet_log_capital(sums, np.full(len(sums), 4.0)))
    assert (capital >= 0).all()
    assert (capital * chances).sum() == pytest.approx(1)


@given(SUMS, st.floats(0, 1e3))
def test_no_day_so_far_costs_the_whole_capital(sums, worst_before):
    bounds = betting.compute_loss_bounds(sums, worst_before)
    assert (bounds > np.maximum.accumulate(-sums)).all()
    assert np.isfinite(betting.compute_log_capital(sums, worst_before)).all()


@given(SUMS, st.floats(1e-3, 1e3))
def test_the_unit_of_the_losses_makes_no_difference(sums, unit):
    np.testing.assert_allclose(
        betting.compute_log_capital(sums * unit), betting.compute_log_capital(sums), rtol=1e-6, atol=1e-6
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1e-300, 1e200])
def test_sums_whose_squares_no_float_holds_are_weighed_like_others(unit):
    sums = np.array([1.0, -0.5, 2.0] * 5)
    np.testing.assert_allclose(betting.compute_log_capital(sums * unit, unit), betting.compute_log_capital(sums, 1.0))


@pytest.mark.parametrize("worst_before", [math.nan, math.inf])
def test_a_worst_day_that_is_no_number_shows_nothing(worst_before):
    assert not betting.compute_joint_log_evidence(np.ones(60), worst_before) > 0
    assert not betting.find_shown_gains(np.ones(60), 0.02, 1, worst_before).any()
    assert betting.estimate_blocks_to_capital(np.ones(60), 0.02, worst_before) is None


@given(SUMS, st.integers(1, 40))
def test_what_was_said_of_the_first_days_is_not_changed_by_later_ones(sums, count):
    np.testing.assert_array_equal(betting.compute_log_capital(sums[:count]), betting.compute_log_capital(sums)[:count])


@given(arrays(float, (3, 7), elements=st.floats(-9, 9)))
def test_many_streams_at_once_are_the_same_as_each_by_itself(streams):
    np.testing.assert_allclose(
        betting.compute_log_capital(streams), [betting.compute_log_capital(each) for each in streams], atol=1e-12
    )


@given(SUMS)
def test_the_last_capital_is_that_of_the_whole_course(sums):
    assert betting.compute_final_log_capital(sums) == pytest.approx(betting.compute_log_capital(sums)[-1])


@given(arrays(float, 20, elements=st.floats(0.1, 5)), st.floats(0, 50), st.floats(0, 50))
def test_the_worse_a_day_at_the_gate_was_the_less_a_gain_since_then_counts(gains, worst, more):
    mild, severe = (betting.compute_final_log_capital(gains, each) for each in (worst, worst + more))
    assert severe <= mild


def test_models_with_the_same_losses_win_nothing():
    np.testing.assert_array_equal(betting.compute_log_capital(np.zeros(30)), 0)
    assert betting.compute_joint_log_evidence(np.zeros(0)) == 0


# Rare losses


def test_a_rare_loss_that_cancels_the_gain_is_seen_by_the_capital_and_not_by_the_self_normalised_sum():
    """A gain of 1 on each of 40 days, then a loss of 40: no better on average by then."""
    days = np.array([1.0] * 40 + [-40.0])
    assert compute_log_e_values(days)[-1] > math.log(50)
    assert betting.compute_final_log_capital(days) < 0


def test_no_rule_tells_a_gain_from_a_rare_loss_that_has_not_come():
    """A candidate that gains 0.5 a day, and one that gains as much on 29 days of 30 and loses 14.5 on the other: as
    long as no such day has come they are the same, so that of the second kind at least as many are promoted as of the
    first, times the probability of that."""
    random = np.random.default_rng(11)
    calm = random.normal(0.5, 1, (400, 90))
    rare = random.random(calm.shape) < 1 / 30
    better, equal = (betting.find_shown_gains(days, 0.02, 56) for days in (calm, np.where(rare, calm - 15, calm)))
    unseen = ~np.logical_or.accumulate(rare, axis=1)
    np.testing.assert_array_equal(better[unseen], equal[unseen])
    least = ((29 / 30) ** (better.argmax(axis=1) + 1))[better.any(axis=1)].sum() / len(better)
    assert 0.06 < least < 0.13  # far above the level, and all of it before the first rare day
    assert (equal & ~unseen).any(axis=1).mean() <= 0.02


def test_after_the_first_rare_day_equal_models_are_hardly_ever_promoted():
    """Ville's bound, looked at daily for 90 days: candidates that gain 0.3 to 1 on most days and lose it all again on 1
    day of 10; the days before the first of those, on which nothing can be known, are left out."""
    random = np.random.default_rng(12)
    for gain in (0.3, 1.0):
        rare = random.random((300, 90)) < 0.1
        days = random.normal(0, 1, rare.shape) + np.where(rare, -9 * gain, gain)
        shown = betting.find_shown_gains(days, 0.02, 1) & np.logical_or.accumulate(rare, axis=1)
        assert shown.any(axis=1).mean() <= 0.04


# What shows a gain


def test_a_gain_is_shown_by_both_tests_over_enough_days():
    days = np.ones(60)
    assert betting.find_shown_gains(days, 0.02, 1).argmax() + 1 == 18
    assert betting.find_shown_gains(days, 0.02, 56).argmax() + 1 == 56


@pytest.mark.slow
@given(SUMS.filter(lambda sums: len(sums) > 12), st.floats(0, 10) | st.floats(1e4, 1e9))
def test_the_lower_bound_is_above_0_just_when_both_tests_are_beyond_the_level(sums, worst_before):
    def measure(days):
        return betting.compute_joint_log_evidence(days, worst_before)

    bound = compute_lower_bound(sums, np.ones(len(sums)), 0.05, measure, reach=worst_before)
    assume(abs(measure(sums) - math.log(20)) > 1e-6)
    assert (bound is not None and bound > 0) == (measure(sums) > math.log(20))


@pytest.mark.parametrize("sums", [[], [-1.0, -2.0], [1.0, -1.0], [0.0]])
def test_without_a_gain_so_far_there_is_no_forecast(sums):
    assert betting.estimate_blocks_to_capital(np.array(sums), 0.02) is None


def test_the_forecast_comes_true_when_the_days_to_come_are_like_those_so_far():
    sums = np.tile([1.0, -0.6, 0.8, -0.2], 2)
    more = betting.estimate_blocks_to_capital(sums, 0.02)
    reached = betting.compute_log_capital(np.tile(sums, 20)) >= math.log(50)
    assert 0.75 <= more / (reached.argmax() + 1 - len(sums)) <= 1.25
