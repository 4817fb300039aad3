"""Intervals over days: what they don't depend on, and how often they are wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.metrics.scores import compute_metrics
from penumbra.core.task import Task
from penumbra.training.evaluation import bootstrap
from tests.helpers.daily_series import simulate_daily_series

BINARY = Task("binary")
SEEDS = st.integers(0, 2**32 - 1)


def said(seed: int, days: int = 24, rows: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and days of some made-up rows, in no order."""
    rng = np.random.default_rng(seed)
    predictions = rng.uniform(0.05, 0.95, days * rows)
    return rng.uniform(size=len(predictions)) < predictions, predictions, rng.permutation(np.arange(days * rows) % days)


def limits(interval: bootstrap.Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


@given(SEEDS)
def test_the_order_of_rows_does_not_change_an_interval(seed):
    labels, predictions, days = said(seed, rows=4)
    losses = compute_row_losses(BINARY, labels, predictions)
    order = np.random.default_rng(seed).permutation(len(days))
    again = bootstrap.compute_mean_interval(losses[order], days[order])
    assert limits(again) == pytest.approx(limits(bootstrap.compute_mean_interval(losses, days)))


@given(SEEDS, st.integers(-1000, 1000), st.integers(1, 9))
def test_what_the_days_are_called_does_not_change_an_interval(seed, first, step):
    labels, predictions, days = said(seed, rows=4)
    losses = compute_row_losses(BINARY, labels, predictions)
    assert bootstrap.compute_mean_interval(losses, first + step * days) == bootstrap.compute_mean_interval(losses, days)
    assert bootstrap.compute_mean_interval(losses, days.astype("datetime64[D]")) == bootstrap.compute_mean_interval(
        losses, days
    )


@given(SEEDS)
def test_identical_models_differ_by_nothing_for_certain(seed):
    losses = compute_row_losses(BINARY, *said(seed)[:2])
    assert limits(bootstrap.compare_paired_losses(losses, losses, said(seed)[2])) == (0, 0, 0)


@given(SEEDS)
def test_the_difference_turned_round_has_the_interval_turned_round(seed):
    rng = np.random.default_rng(seed)
    losses, others, days = rng.uniform(size=80), rng.uniform(size=80), np.arange(80) // 4
    value, low, high = limits(bootstrap.compare_paired_losses(losses, others, days))
    assert (-value, -high, -low) == pytest.approx(limits(bootstrap.compare_paired_losses(others, losses, days)))


@given(SEEDS, st.floats(0.5, 0.99))
def test_an_interval_holds_its_value_and_grows_with_the_confidence(seed, confidence):
    losses, days = np.random.default_rng(seed).uniform(size=80), np.arange(80) // 4
    narrow, wide = (bootstrap.compute_mean_interval(losses, days, each) for each in (confidence, (1 + confidence) / 2))
    assert wide.low <= narrow.low <= narrow.value == pytest.approx(losses.mean())
    assert narrow.value <= narrow.high <= wide.high


def test_copies_of_the_same_rows_make_nothing_surer():
    labels, predictions, days = said(1)
    losses = compute_row_losses(BINARY, labels, predictions)
    many = bootstrap.compute_mean_interval(np.tile(losses, 50), np.tile(days, 50))
    assert limits(many) == pytest.approx(limits(bootstrap.compute_mean_interval(losses, days)))


def test_less_than_two_blocks_of_days_say_nothing():
    assert limits(bootstrap.compute_mean_interval(np.arange(7.0), np.arange(7))) == (3, -np.inf, np.inf)


@pytest.mark.parametrize("losses", [np.arange(11.0) ** 2, np.repeat([0.0, 5.0, 0.0], [9, 1, 30])])
def test_there_is_no_limit_where_draws_of_days_that_are_alike_would_decide(losses):
    found = bootstrap.compute_mean_interval(losses, np.arange(len(losses)))
    assert found.high == np.inf


def test_days_that_are_alike_but_for_rounding_have_their_mean_as_limits():
    values, days = np.full(90, 0.1), np.repeat(np.arange(30), 3)
    assert limits(bootstrap.compute_mean_interval(values, days)) == pytest.approx((0.1, 0.1, 0.1), rel=1e-9)


@pytest.mark.parametrize("days", [25, 120])
def test_a_mean_left_out_by_day_has_the_interval_of_that_metric(days):
    labels, predictions, day = said(7, days=days)
    losses = compute_row_losses(BINARY, labels, predictions)
    whole = bootstrap.compute_metric_intervals(BINARY, labels, predictions, day)["log_loss"]
    found = bootstrap.compute_day_sum_interval("log_loss", np.bincount(day, losses), np.bincount(day))
    assert limits(found) == pytest.approx(limits(whole), rel=1e-9)


@pytest.mark.parametrize(
    ("task", "labels", "predictions"),
    [
        (BINARY, *said(2)[:2]),
        (Task("regression"), said(2)[1] * 3 + 1, said(3)[1] * 3),
        (Task("multiclass", ("a", "b")), said(2)[0].astype(int), np.column_stack([1 - said(2)[1], said(2)[1]])),
    ],
)
def test_every_metric_has_an_interval_round_its_score(task, labels, predictions):
    found = bootstrap.compute_metric_intervals(task, labels, predictions, said(2)[2])
    assert {name: interval.value for name, interval in found.items()} == compute_metrics(task, labels, predictions)
    assert [name for name, each in found.items() if not each.low <= each.value <= each.high] == []


def test_the_jackknife_gives_a_mean_nearly_the_limits_of_its_day_sums():
    labels, predictions, days = said(4)
    whole = bootstrap.compute_metric_intervals(BINARY, labels, predictions, days)["log_loss"]
    assert limits(whole) == pytest.approx(
        limits(bootstrap.compute_mean_interval(compute_row_losses(BINARY, labels, predictions), days)), rel=1e-3
    )


def test_a_metric_that_hangs_on_one_day_has_no_interval():
    found = bootstrap.compute_metric_intervals(BINARY, np.arange(12) == 3, np.linspace(0.1, 0.9, 12), np.arange(12))
    assert limits(found["roc_auc"])[1:] == (-np.inf, np.inf)
    assert str(found["roc_auc"]).endswith(" (no interval)")


@pytest.mark.parametrize("metric", ["squared_error", "accuracy", "r2"])
def test_a_metric_of_few_days_has_no_interval_though_it_has_a_range(metric):
    found = bootstrap.compute_day_sum_interval(metric, np.arange(10) % 4 / 4, np.ones(10))
    assert limits(found)[1:] == (-np.inf, np.inf)


def test_no_limit_is_beyond_what_a_metric_can_be():
    labels, predictions, days = said(6, rows=2)
    found = bootstrap.compute_metric_intervals(BINARY, labels, np.where(labels, 0.9, predictions * 0.95), days, 0.999)
    assert [name for name, each in found.items() if each.low < 0] == []
    assert max(found[name].high for name in ("roc_auc", "pr_auc", "calibration_error")) <= 1


def test_of_many_days_neighbours_are_taken_together():
    labels, predictions, days = said(5, days=240, rows=2)
    found = bootstrap.compute_metric_intervals(BINARY, labels, predictions, days)["log_loss"]
    exact = bootstrap.compute_mean_interval(compute_row_losses(BINARY, labels, predictions), days)
    assert found.high - found.low == pytest.approx(exact.high - exact.low, rel=0.25)


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
