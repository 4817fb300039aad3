"""Intervals over days: what they don't depend on, and how often they are wrong."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.task import Task
from penumbra.training.evaluation import bootstrap
from tests.helpers.daily_series import make_scored_days, simulate_daily_series

BINARY = Task("binary")
SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_the_order_of_rows_does_not_change_an_interval(seed):
    labels, predictions, days = make_scored_days(seed, rows=4)
    losses = compute_row_losses(BINARY, labels, predictions)
    order = np.random.default_rng(seed).permutation(len(days))
    again = bootstrap.compute_mean_interval(losses[order], days[order])
    assert astuple(again) == pytest.approx(astuple(bootstrap.compute_mean_interval(losses, days)))


@given(SEEDS, st.integers(-1000, 1000), st.integers(1, 9))
def test_what_the_days_are_called_does_not_change_an_interval(seed, first, step):
    labels, predictions, days = make_scored_days(seed, rows=4)
    losses = compute_row_losses(BINARY, labels, predictions)
    assert bootstrap.compute_mean_interval(losses, first + step * days) == bootstrap.compute_mean_interval(losses, days)
    assert bootstrap.compute_mean_interval(losses, days.astype("datetime64[D]")) == bootstrap.compute_mean_interval(
        losses, days
    )


@given(SEEDS)
def test_identical_models_differ_by_nothing_for_certain(seed):
    losses = compute_row_losses(BINARY, *make_scored_days(seed)[:2])
    assert astuple(bootstrap.compare_paired_losses(losses, losses, make_scored_days(seed)[2])) == (0, 0, 0)


@given(SEEDS)
def test_the_difference_turned_round_has_the_interval_turned_round(seed):
    rng = np.random.default_rng(seed)
    losses, others, days = rng.uniform(size=80), rng.uniform(size=80), np.arange(80) // 4
    value, low, high = astuple(bootstrap.compare_paired_losses(losses, others, days))
    assert (-value, -high, -low) == pytest.approx(astuple(bootstrap.compare_paired_losses(others, losses, days)))


@given(SEEDS, st.floats(0.5, 0.99))
def test_an_interval_holds_its_value_and_grows_with_the_confidence(seed, confidence):
    losses, days = np.random.default_rng(seed).uniform(size=80), np.arange(80) // 4
    narrow, wide = (bootstrap.compute_mean_interval(losses, days, each) for each in (confidence, (1 + confidence) / 2))
    assert wide.low <= narrow.low <= narrow.value == pytest.approx(losses.mean())
    assert narrow.value <= narrow.high <= wide.high


def test_copies_of_the_same_rows_make_nothing_surer():
    labels, predictions, days = make_scored_days(1)
    losses = compute_row_losses(BINARY, labels, predictions)
    many = bootstrap.compute_mean_interval(np.tile(losses, 50), np.tile(days, 50))
    assert astuple(many) == pytest.approx(astuple(bootstrap.compute_mean_interval(losses, days)))


def test_less_than_two_blocks_of_days_say_nothing():
    assert astuple(bootstrap.compute_mean_interval(np.arange(7.0), np.arange(7))) == (3, -np.inf, np.inf)


@pytest.mark.parametrize("losses", [np.arange(11.0) ** 2, np.repeat([0.0, 5.0, 0.0], [9, 1, 30])])
def test_there_is_no_limit_where_draws_of_days_that_are_alike_would_decide(losses):
    found = bootstrap.compute_mean_interval(losses, np.arange(len(losses)))
    assert found.high == np.inf


def test_days_that_are_alike_but_for_rounding_have_their_mean_as_limits():
    values, days = np.full(90, 0.1), np.repeat(np.arange(30), 3)
    assert astuple(bootstrap.compute_mean_interval(values, days)) == pytest.approx((0.1, 0.1, 0.1), rel=1e-9)


@pytest.mark.parametrize("days", [20, 31, 60])
@pytest.mark.parametrize("skew", [-1, 0, 1])
def test_a_limit_is_on_the_wrong_side_of_the_truth_in_at_most_5_percent_of_simulations(days, skew):
    low, high = bootstrap.compute_confidence_limits(
        simulate_daily_series(1000, days, like_the_day_before=0.2, skew=skew), confidence=0.9
    )
    assert max((high < 0).mean(), (low > 0).mean()) <= 0.05


def test_single_days_and_percentiles_would_be_wrong_much_more_often():
    """Why the interval isn't the simple one."""
    means = simulate_daily_series(1000, 30, like_the_day_before=0.2, skew=1)
    draws = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), 500) / 30
    assert (np.quantile(means @ draws.T, 0.95, axis=1) < 0).mean() > 0.1
