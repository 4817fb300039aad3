"""Scores, against figures computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from penumbra.core.metrics.calibration import compute_calibration_error
from penumbra.core.metrics.curves import compute_calibration_curve, compute_curves
from penumbra.core.metrics.losses import compute_row_losses, get_primary_metric
from penumbra.core.metrics.scores import compute_metrics
from penumbra.core.task import Task

BINARY, BIRDS, NUMBER = Task("binary"), Task("multiclass", ("crow", "owl", "kite")), Task("regression")
LABELS = np.array([False, False, True, True])

SHARES = arrays(float, st.integers(2, 30), elements=st.floats(0, 1))


def test_scores_of_four_rows_are_those_computed_by_hand():
    scores = compute_metrics(BINARY, LABELS, np.array([0.1, 0.6, 0.4, 0.9]))
    expected = {
        "log_loss": -(math.log(0.9) + math.log(0.4) + math.log(0.4) + math.log(0.9)) / 4,
        "brier": (0.1**2 + 0.6**2 + 0.6**2 + 0.1**2) / 4,
        "roc_auc": 3 / 4,
        "pr_auc": (1 + 2 / 3) / 2,
        "calibration_error": (0.1 + 0.6 + 0.6 + 0.1) / 4,
    }
    assert scores == pytest.approx(expected)


@pytest.mark.parametrize("labels", [[True, True], [False], []])
def test_a_score_needs_both_classes(labels):
    with pytest.raises(ValueError, match=rf"{sum(labels)} of {len(labels)} (label is|labels are) true"):
        compute_metrics(BINARY, np.array(labels, dtype=bool), np.full(len(labels), 0.5))


@given(SHARES, st.randoms())
def test_the_order_of_rows_does_not_change_a_score(probabilities, random):
    labels = np.arange(len(probabilities)) % 2 == 0
    order = list(range(len(labels)))
    random.shuffle(order)
    assert compute_metrics(BINARY, labels[order], probabilities[order]) == pytest.approx(
        compute_metrics(BINARY, labels, probabilities)
    )


@given(st.dictionaries(st.integers(0, 20), st.integers(1, 5), min_size=1))
def test_perfectly_calibrated_groups_have_no_calibration_error(groups):
    """`groups` says how often there are 20 rows of which so many are positive."""
    pairs = [(row % 20 < positives, positives / 20) for positives, times in groups.items() for row in range(20 * times)]
    labels, probabilities = map(np.array, zip(*pairs, strict=True))
    assert compute_calibration_error(labels, probabilities) == pytest.approx(0, abs=1e-12)


@given(st.integers(1, 50), st.floats(0, 1))
def test_the_calibration_error_of_a_constant_is_its_distance_from_the_truth(count, share):
    assert compute_calibration_error(np.ones(count, bool), np.full(count, share)) == pytest.approx(1 - share)


@given(SHARES, st.integers(1, 12))
def test_calibration_groups_hold_every_row_once_and_grow(probabilities, bins):
    groups = compute_calibration_curve(probabilities > 0.5, probabilities, bins)
    predicted = [group["predicted"] for group in groups]
    assert sum(group["rows"] for group in groups) == len(probabilities)
    assert len(groups) <= bins
    assert predicted == sorted(predicted)


@pytest.mark.parametrize("count", [4, 5000])
def test_curves_have_at_most_100_points_and_reach_both_corners(count):
    labels = np.arange(count) % 3 == 0
    curves = compute_curves(BINARY, labels, np.linspace(0, 1, count))
    assert max(len(curves["roc"]), len(curves["pr"])) <= 100
    corners = [tuple(point.values()) for point in (curves["roc"][0], curves["roc"][-1])]
    assert corners == [(0.0, 0.0), (1.0, 1.0)]


def test_scores_of_three_classes_are_those_computed_by_hand():
    said = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1]])
    expected = {
        "log_loss": -(math.log(0.6) + math.log(0.4) + math.log(0.6) + math.log(0.1)) / 4,
        "brier": (0.26 + (0.25 + 0.36 + 0.01) + 0.26 + (0.04 + 0.49 + 0.81)) / 4,
        "roc_auc": (1 + 2 / 4 + 1 / 2) / 3,
        "accuracy": 2 / 4,
        "calibration_error": (0.5 + (0.4 + 0.4) + 0.7) / 4,
    }
    assert compute_metrics(BIRDS, np.array([0, 1, 1, 2]), said) == pytest.approx(expected)


def test_scores_of_numbers_are_those_computed_by_hand():
    scores = compute_metrics(NUMBER, np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 5.0]))
    expected = {"squared_error": 5 / 3, "rmse": (5 / 3) ** 0.5, "mae": 1, "r2": 1 - 5 / 2, "bias": 1}
    assert scores == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "labels", "said"),
    [
        (BINARY, LABELS, np.array([0.1, 0.6, 0.4, 0.9])),
        (BIRDS, np.array([0, 2]), np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]])),
        (NUMBER, np.array([1.0, 2.0]), np.array([2.5, 2.0])),
    ],
)
def test_the_primary_metric_comes_first_and_is_the_mean_of_the_losses(task, labels, said):
    name, value = next(iter(compute_metrics(task, labels, said).items()))
    assert (name, value) == (
        get_primary_metric(task),
        pytest.approx(compute_row_losses(task, labels, said).mean()),
    )


@pytest.mark.parametrize(("task", "label"), [(BINARY, True), (BIRDS, 2)])
def test_a_probability_of_zero_for_what_happened_costs_much_but_not_everything(task, label):
    said = np.array([0.0]) if task is BINARY else np.array([[0.5, 0.5, 0.0]])
    assert 30 < compute_row_losses(task, np.array([label]), said)[0] < 40


def test_rows_of_a_single_class_are_named():
    with pytest.raises(ValueError, match="2 labels are all owl: a score needs two classes"):
        compute_metrics(BIRDS, np.array([1, 1]), np.full((2, 3), 1 / 3))


def test_numbers_that_are_all_the_same_have_no_share_of_explained_variance():
    assert math.isnan(compute_metrics(NUMBER, np.array([2.0, 2.0]), np.array([1.0, 3.0]))["r2"])


def test_no_rows_have_no_score():
    with pytest.raises(ValueError, match="needs rows"):
        compute_metrics(NUMBER, np.array([]), np.array([]))


def test_several_classes_and_numbers_have_a_calibration_curve():
    birds = compute_curves(BIRDS, np.array([0, 2]), np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]]))["calibration"]
    numbers = compute_curves(NUMBER, np.array([1.0, 2.0]), np.array([2.5, 2.0]))["calibration"]
    assert [(group["predicted"], group["observed"]) for group in birds] == [(0.5, 0), (0.6, 1)]
    assert [(group["predicted"], group["observed"]) for group in numbers] == [(2.0, 2.0), (2.5, 1.0)]
