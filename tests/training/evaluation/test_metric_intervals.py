"""Metrics with their intervals: every metric has one round its score, and none where days can't tell."""

from dataclasses import astuple

import numpy as np
import pytest

from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.metrics.scores import compute_metrics
from penumbra.core.task import Task
from penumbra.training.evaluation.bootstrap import compute_confidence_limits, compute_mean_interval
from penumbra.training.evaluation.metric_intervals import compute_day_sum_interval, compute_metric_intervals
from tests.helpers.daily_series import make_scored_days

BINARY = Task("binary")


@pytest.mark.parametrize("days", [25, 120])
def test_a_mean_left_out_by_day_has_the_interval_of_that_metric(days):
    labels, predictions, day = make_scored_days(7, days=days)
    losses = compute_row_losses(BINARY, labels, predictions)
    whole = compute_metric_intervals(BINARY, labels, predictions, day)["log_loss"]
    found = compute_day_sum_interval("log_loss", np.bincount(day, losses), np.bincount(day))
    assert astuple(found) == pytest.approx(astuple(whole), rel=1e-9)


LABELS, PREDICTIONS, DAYS = make_scored_days(2)


@pytest.mark.parametrize(
    ("task", "labels", "predictions"),
    [
        (BINARY, LABELS, PREDICTIONS),
        (Task("regression"), PREDICTIONS * 3 + 1, make_scored_days(3)[1] * 3),
        (Task("multiclass", ("a", "b")), LABELS.astype(int), np.column_stack([1 - PREDICTIONS, PREDICTIONS])),
    ],
)
def test_every_metric_has_an_interval_round_its_score(task, labels, predictions):
    found = compute_metric_intervals(task, labels, predictions, DAYS)
    assert {name: interval.value for name, interval in found.items()} == compute_metrics(task, labels, predictions)
    assert [name for name, each in found.items() if not each.low <= each.value <= each.high] == []


def test_the_jackknife_gives_a_mean_nearly_the_limits_of_its_day_sums():
    labels, predictions, days = make_scored_days(4)
    whole = compute_metric_intervals(BINARY, labels, predictions, days)["log_loss"]
    assert astuple(whole) == pytest.approx(
        astuple(compute_mean_interval(compute_row_losses(BINARY, labels, predictions), days)), rel=1e-3
    )


def test_a_metric_that_hangs_on_one_day_has_no_interval():
    found = compute_metric_intervals(BINARY, np.arange(12) == 3, np.linspace(0.1, 0.9, 12), np.arange(12))
    assert astuple(found["roc_auc"])[1:] == (-np.inf, np.inf)
    assert str(found["roc_auc"]).endswith(" (no interval)")


@pytest.mark.parametrize("metric", ["squared_error", "accuracy", "r2"])
def test_a_metric_of_few_days_has_no_interval_though_it_has_a_range(metric):
    found = compute_day_sum_interval(metric, np.arange(10) % 4 / 4, np.ones(10))
    assert astuple(found)[1:] == (-np.inf, np.inf)


def test_no_limit_is_beyond_what_a_metric_can_be():
    labels, predictions, days = make_scored_days(6, rows=2)
    found = compute_metric_intervals(BINARY, labels, np.where(labels, 0.6, predictions * 0.95), days, 0.999)
    assert [name for name, each in found.items() if each.low < 0] == []
    assert max(found[name].high for name in ("roc_auc", "pr_auc", "calibration_error")) <= 1


def test_of_many_days_neighbours_are_taken_together():
    labels, predictions, days = make_scored_days(5, days=240, rows=2)
    found = compute_metric_intervals(BINARY, labels, predictions, days)["log_loss"]
    exact = compute_mean_interval(compute_row_losses(BINARY, labels, predictions), days)
    assert found.high - found.low == pytest.approx(exact.high - exact.low, rel=0.25)


@pytest.mark.parametrize("decimals", [1, 9], ids=["many ties", "no ties"])
def test_rows_that_are_sorted_once_give_the_intervals_of_those_sorted_without_each_day(decimals):
    rng, days = np.random.default_rng(3), np.repeat(np.arange(30), 20)
    predictions = np.round(rng.uniform(0.05, 0.95, len(days)), decimals)
    labels = rng.uniform(size=len(days)) < predictions
    found = compute_metric_intervals(BINARY, labels, predictions, days)
    whole = compute_metrics(BINARY, labels, predictions)
    without = [compute_metrics(BINARY, labels[days != day], predictions[days != day]) for day in range(30)]
    for name in ("roc_auc", "pr_auc", "calibration_error"):
        left_out = np.array([[each[name] for each in without]])
        low, high = compute_confidence_limits(whole[name] - 29 * (left_out - left_out.mean()))
        assert astuple(found[name]) == pytest.approx((whole[name], max(low[0], 0), min(high[0], 1)), rel=1e-12)
