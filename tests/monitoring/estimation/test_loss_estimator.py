"""The loss of a window without its labels: where inputs shift, where they don't, and where the relation changes."""

import re

import numpy as np
import polars as pl
import pytest

from benchmarks.statistics.estimate.shifted_inputs import InputShift, MadeRows, ShiftedProblem, make_problems
from monitoring.estimation.input_matrix import InputColumns
from monitoring.estimation.loss_estimator import (
    LOSSES_METHOD,
    SCORES_METHOD,
    LossEstimate,
    LossEstimator,
    ScoredRows,
)
from penumbra.core.metrics.losses import compute_clipped_losses
from penumbra.core.task import Task

NOTHING, HIGHER = InputShift("nothing"), InputShift("higher", level=1.0)
FAR, CHANGED = InputShift("far", level=9.0), InputShift("changed", change=0.5)


@pytest.fixture(scope="module")
def problems() -> list[ShiftedProblem]:
    """A straight line for each task, which is wrong in ways that depend on the inputs."""
    return list(make_problems(seed=3, rows=60, shifts=(NOTHING, HIGHER, FAR, CHANGED), models=("linear",)))


@pytest.fixture(scope="module")
def estimators(problems) -> list[LossEstimator]:
    ceilings = [10 * measure_losses(each.task, each.reference).mean() for each in problems]
    return [
        LossEstimator.from_reference(each.task, "auto", ceiling, each.reference.scored, each.reference.labels)
        for each, ceiling in zip(problems, ceilings, strict=True)
    ]


def measure_losses(task: Task, rows: MadeRows, ceiling: float = np.inf) -> np.ndarray:
    return compute_clipped_losses(task, rows.labels, rows.scored.predictions, "auto", ceiling)


def estimate(problem: ShiftedProblem, known: LossEstimator, shift: InputShift) -> tuple[LossEstimate, float]:
    """The estimate of a week, and the loss that its labels show."""
    week = problem.weeks[shift]
    return known.estimate_window(week.scored), measure_losses(problem.task, week, known.ceiling).mean()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_a_change_of_loss_by_a_shift_of_inputs_is_seen_for_each_task(problems, estimators, number):
    found, realised = estimate(problems[number], estimators[number], HIGHER)
    assert found.low < realised < found.high
    assert found.weights.effective_days < 60
    assert found.method == LOSSES_METHOD


def test_of_numbers_most_of_a_rise_of_loss_is_estimated(problems, estimators):
    found, realised = estimate(problems[-1], estimators[-1], HIGHER)
    before = measure_losses(problems[-1].task, problems[-1].reference).mean()
    assert realised > 1.3 * before
    assert abs(found.mean - realised) < 0.5 * (realised - before)


def test_a_changed_relation_isnt_seen(problems, estimators):
    found, realised = estimate(problems[0], estimators[0], CHANGED)
    usual = measure_losses(problems[0].task, problems[0].reference).mean()
    assert abs(found.mean - usual) < abs(realised - usual) / 2
    assert not found.low < realised < found.high


def test_where_no_row_of_the_reference_is_like_the_window_that_is_said_and_nothing_is_weighted(problems, estimators):
    found, _ = estimate(problems[0], estimators[0], FAR)
    assert found.weights is None
    assert "extrapolated: the reference has rows like only " in found.method


def test_where_few_days_of_the_reference_are_like_the_window_that_is_said_and_nothing_is_weighted():
    """Days are warm or cold as a whole, and only two of the reference's 30 are warm."""
    rng, days = np.random.default_rng(1), np.repeat(np.arange(30), 20)
    before = ScoredRows(pl.DataFrame({"x": rng.normal(np.where(days % 15 == 4, 5.0, 0.0))}), np.zeros(600), days)
    week = ScoredRows(pl.DataFrame({"x": rng.normal(5.0, 1.0, 140)}), np.zeros(140), np.repeat(np.arange(7), 20))
    found = LossEstimator(Task("regression"), "auto", 100.0, before, rng.normal(size=600)).estimate_window(week)
    assert found.weights is None
    assert re.search("unweighted: the reference has only [2-5] days like the window's", found.method)


def test_where_nothing_shifts_the_scores_expectation_is_the_estimate():
    """Rows of one kind: all weigh the same, no group and no day differs from another."""
    chances, happened = np.full(900, 0.25), np.arange(900) % 4 == 0
    days, inputs = np.arange(900) // 60, pl.DataFrame({"one": np.ones(900)})
    known = LossEstimator(Task("binary"), "brier", 1.0, ScoredRows(inputs, chances, days), happened)
    found = known.estimate_window(ScoredRows(inputs[:300], chances[:300], days[:300]))
    assert found.mean == pytest.approx(0.25 * 0.75)
    assert set(found.weights.weights) == {1.0}
    assert found.method == SCORES_METHOD


@pytest.mark.parametrize(("rows", "days"), [(99, 9), (400, 4)])
def test_too_small_a_reference_gives_no_estimate_and_says_why(rows, days):
    few = ScoredRows(pl.DataFrame({"x": np.zeros(rows)}), np.zeros(rows), np.arange(rows) % days)
    estimator = LossEstimator(Task("regression"), "auto", 1.0, few, np.zeros(rows))
    assert estimator.estimate_window(few) is None
    assert estimator.describe_shortage() == (
        f"the model's reference has {rows} rows on {days} days, and it takes 100 on 5"
    )


def test_of_many_categories_the_most_frequent_are_known_and_of_equals_the_first():
    words = [f"w{number:03}" for number in range(400)]
    known = InputColumns.learn(pl.DataFrame({"word": [*words, *words[300:]]}))
    assert known.words["word"] == [*words[:152], *words[300:]]


def test_a_window_without_rows_has_no_estimate(problems, estimators):
    assert estimators[0].estimate_window(problems[0].reference.scored.take_rows(np.zeros(0, int))) is None


def test_columns_are_taken_as_they_are_logged():
    reference = pl.DataFrame({"a": [1, None, 3], "b": ["x", None, "y"], "c": [True, False, None]})
    columns = InputColumns.learn(reference)
    now = pl.DataFrame({"a": [float("inf"), 2.5], "b": ["z", "y"], "c": ["true", None]})
    np.testing.assert_array_equal(columns.build_matrix(now), [[np.nan, 3, 2], [2.5, 2, 0]])
    assert (columns.numbers, columns.categorical) == (("a",), [1, 2])
