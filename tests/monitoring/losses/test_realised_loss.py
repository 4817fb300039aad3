"""Realised loss behind the watermark, its band and calibration."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.losses.loss_threshold import DailyLosses
from monitoring.losses.realised_loss import (
    ArrivedLabels,
    MeanBand,
    compute_mean_band,
    compute_score_edges,
    compute_top_scores,
    sum_by_score_bin,
)
from penumbra.core.metrics.calibration import compute_binned_calibration_error
from penumbra.core.task import Task
from tests.helpers.servers.processes import run_python

BINARY = Task("binary")


def count(losses: list[float | None], due: bool = True) -> ArrivedLabels:
    schema = {"due": pl.Boolean, "loss": pl.Float64}
    return ArrivedLabels.count(pl.DataFrame([(due, loss) for loss in losses], schema=schema, orient="row"))


def test_a_day_counts_once_every_label_is_due():
    assert count([0.1, 0.2]).is_enough(0.95)
    assert not count([0.1, 0.2], due=False).is_enough(0.95)


@pytest.mark.parametrize(("missing", "counts"), [(1, True), (2, False)])
def test_a_day_with_too_few_labels_does_not_count(missing, counts):
    losses = [0.1] * (19 - missing) + [None, float("nan")][:missing]
    assert count([0.1, *losses]).is_enough(0.95) is counts


def test_labels_that_come_late_do_not_make_a_model_look_good():
    """By evening only the punctual ones have landed."""
    assert not (count([0.1] * 8) + count([None] * 2, due=False)).is_enough(0.5)


def test_labels_of_parts_of_a_day_add_up():
    assert count([0.1, None]) + count([0.2], due=False) == ArrivedLabels(rows=3, due=2, arrived=1, known=2)


def banded(values: np.ndarray, days: np.ndarray) -> MeanBand | None:
    sums = DailyLosses.from_rows(days, values)
    return compute_mean_band(sums.sums, sums.labels)


def test_the_band_covers_the_mean_of_days_that_differ_as_often_as_it_says():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(300):
        level = rng.normal(0.5, 0.1, 7)
        days = np.repeat(np.arange(7), 100)
        found = banded(level[days] + rng.normal(0, 0.3, 700), days)
        covered += found.low <= 0.5 <= found.high
    assert 0.91 <= covered / 300 <= 0.98


@pytest.mark.parametrize("days", [[], [1, 1, 1]])
def test_a_single_day_has_no_band(days):
    assert banded(np.ones(len(days)), np.array(days)) is None


@pytest.mark.slow
@given(st.lists(st.floats(0, 10), min_size=2, max_size=30))
def test_the_mean_lies_within_its_band(values):
    found = banded(np.array(values), np.arange(len(values)) % 5)
    assert found.low <= found.mean + 1e-9
    assert found.mean <= found.high + 1e-9
    assert found.rows == len(values)


def world(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    chances = rng.uniform(0.05, 0.95, n)
    return chances, rng.random(n) < chances


def error(task: Task, labels: np.ndarray, said: np.ndarray) -> float | None:
    scores, happened = compute_top_scores(task, labels.astype(float), said)
    return compute_binned_calibration_error(sum_by_score_bin(scores, happened, compute_score_edges(scores)))


def test_probabilities_that_are_frequencies_are_calibrated():
    scores, labels = world()
    assert error(BINARY, labels, scores) < 0.03
    assert error(BINARY, labels, scores**3) > 0.15


@given(st.integers(0, 2**32), st.integers(1, 300))
def test_the_calibration_error_from_sums_is_that_of_rows_in_ten_groups_of_bins(seed, n):
    rng = np.random.default_rng(seed)
    scores, labels = rng.random(n).round(2), rng.random(n) < 0.3
    edges = compute_score_edges(rng.random(500))
    order = np.argsort(scores, kind="stable")
    bins = np.searchsorted(edges, scores)
    middle = [np.flatnonzero(bins[order] == each).mean() + 0.5 for each in bins]
    groups = (10 * np.array(middle) / n).astype(int)
    gaps = [abs((labels - scores)[groups == each].sum()) for each in range(10)]
    assert compute_binned_calibration_error(sum_by_score_bin(scores, labels, edges)) == pytest.approx(sum(gaps) / n)
    assert compute_binned_calibration_error(sum_by_score_bin(scores, labels, np.zeros(0))) == pytest.approx(
        abs((labels - scores).mean())
    )


@given(st.integers(0, 2**32), st.integers(0, 200))
def test_what_came_of_scores_is_the_same_whatever_parts_the_rows_are_summed_in(seed, cut):
    rng = np.random.default_rng(seed)
    scores, labels, edges = rng.random(200), rng.random(200) < 0.3, compute_score_edges(rng.random(500))
    parts = [sum_by_score_bin(scores[part], labels[part], edges) for part in (slice(cut), slice(cut, None))]
    assert parts[0] + parts[1] == pytest.approx(sum_by_score_bin(scores, labels, edges))


def test_of_several_classes_the_likeliest_is_calibrated():
    said = np.array([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.8, 0.2]])
    assert error(Task("multiclass", ("a", "b")), np.array([0, 0, 0, 0, 1]), said) == pytest.approx(0)
    assert error(Task("multiclass", ("a", "b")), np.array([0, 0, 1, 1, 1]), said) == pytest.approx(0.4)


def test_numbers_have_no_calibration():
    ones, task = np.ones(200), Task("regression")
    assert error(task, ones, ones) is None


def test_without_rows_there_is_no_calibration():
    assert error(BINARY, np.zeros(0, bool), np.zeros(0)) is None


@pytest.mark.slow
def test_bands_and_weights_are_computed_without_all_of_scipy_s_statistics():
    code = """
import sys
import numpy as np
from monitoring.estimation.shift_weights import compute_shift_weights
from monitoring.losses.realised_loss import compute_mean_band
days, rows = np.repeat(np.arange(9), 30), np.random.default_rng(7).normal(size=(270, 2))
print(compute_mean_band(np.array([0.5, 0.5, 1.0]), np.array([1, 1, 2])).mean)
print(round(compute_shift_weights(rows, days, rows, days, []).covered), "scipy.stats" in sys.modules)
"""
    assert run_python(code) == ["0.5", "1 False"]
