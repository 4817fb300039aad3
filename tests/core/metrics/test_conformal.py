import math
import subprocess
import sys
from fractions import Fraction

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from penumbra.core.metrics.conformal import (
    ConformalLimits,
    compute_conformal_limit,
    compute_uncertainty,
    describe_uncertainty,
)
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.task import Task

BINARY, NUMBER, WEATHER = Task("binary"), Task("regression"), Task("multiclass", ("clear", "clouds", "rain"))
SCORES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5]), min_size=1, max_size=60)
BOTH, SKY = [False, True], [*WEATHER.classes]
COVERAGES = st.sampled_from([0.5, 0.7, 0.8, 0.9, 0.95, 0.99])


def is_within(score, limit):
    return limit is None or score <= limit


@pytest.mark.slow
@given(SCORES, COVERAGES)
def test_of_scores_in_any_order_the_last_is_within_the_limit_of_the_others_as_often_as_promised(scores, coverage):
    """The promise itself: each of the n + 1 rows may be the last one. Ties only make it easier."""
    within = [
        is_within(last, compute_conformal_limit(np.array(scores[:at] + scores[at + 1 :]), coverage))
        for at, last in enumerate(scores)
    ]
    assert sum(within) >= len(scores) * Fraction(str(coverage))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60, unique=True), COVERAGES)
def test_without_ties_no_smaller_limit_would_do(scores, coverage):
    limit = compute_conformal_limit(np.array(scores), coverage)
    if limit is not None:
        assert sum(score < limit for score in scores) < (len(scores) + 1) * Fraction(str(coverage))


@pytest.mark.parametrize(("coverage", "least"), [(0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1)])
def test_with_too_few_rows_nothing_is_ruled_out(coverage, least):
    assert compute_conformal_limit(np.zeros(least - 1), coverage) is None
    assert compute_conformal_limit(np.zeros(least), coverage) == 0


def test_the_rank_is_exact_where_binary_fractions_are_not():
    assert (99 + 1) * 0.55 > 55  # by which the limit would be the next one
    assert compute_conformal_limit(np.arange(1.0, 100.0), 0.55) == 55


def draw_classes(random, n):
    """Three classes, the last one rare, and probabilities that say something of them."""
    labels = random.choice(3, n, p=[0.6, 0.35, 0.05])
    weights = (random.gamma(1, size=(n, 3)) + np.eye(3)[labels]) * [1, 1, 0.3]
    return labels, weights / weights.sum(axis=1, keepdims=True)


def test_each_class_is_covered_as_often_as_promised_a_rare_one_too():
    random = np.random.default_rng(1)
    limits = ConformalLimits.calibrate(WEATHER, *draw_classes(random, 20_000), 0.9)
    labels, predictions = draw_classes(random, 20_000)
    covered = limits.find_covered(labels, predictions)
    assert [covered[labels == code].mean() for code in range(3)] == pytest.approx([0.9] * 3, abs=0.04)


def test_each_bin_of_numbers_is_covered_as_often_as_promised():
    random = np.random.default_rng(2)

    def draw(n):
        predictions = random.random(n)
        return predictions + predictions * random.standard_normal(n), predictions

    limits = ConformalLimits.calibrate(NUMBER, *draw(20_000), 0.8)
    labels, predictions = draw(20_000)
    covered, width = limits.find_covered(labels, predictions), np.diff(limits.compute_intervals(predictions))
    for low in np.arange(0, 1, 0.1):
        assert covered[(predictions >= low) & (predictions < low + 0.1)].mean() == pytest.approx(0.8, abs=0.04)
    assert width[predictions < 0.1].mean() < 0.2 * width[predictions > 0.9].mean()


def test_one_limit_for_all_rows_keeps_the_promise_on_average_only_and_gives_smaller_sets():
    random = np.random.default_rng(3)
    known, (labels, predictions) = draw_classes(random, 20_000), draw_classes(random, 20_000)
    by_class, at_once = (ConformalLimits.calibrate(WEATHER, *known, 0.9, has_strata=each) for each in (True, False))
    covered = at_once.find_covered(labels, predictions)
    assert covered.mean() == pytest.approx(0.9, abs=0.01)
    assert covered[labels == 2].mean() < 0.8
    assert at_once.find_sets(predictions).sum() < by_class.find_sets(predictions).sum()


@given(arrays.arrays(float, st.integers(1, 300), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])))
def test_every_bin_of_numbers_has_rows_however_often_they_repeat(predictions):
    limits = ConformalLimits.calibrate(NUMBER, predictions, predictions, 0.9)
    counts = np.bincount(np.searchsorted(limits.edges, predictions), minlength=len(limits.limits))
    assert len(limits.limits) == len(limits.edges) + 1 == np.count_nonzero(counts)


@pytest.mark.parametrize("counts", [[250, 250, 250, 244, 6], [880, 60, 60], [990, 10], [20] * 30])
def test_a_bin_of_numbers_has_fifty_rows_at_least_where_predictions_repeat(counts):
    predictions = np.repeat(np.arange(float(len(counts))), counts)
    limits = ConformalLimits.calibrate(NUMBER, predictions + 1, predictions, 0.9)
    in_bins = np.bincount(np.searchsorted(limits.edges, predictions), minlength=len(limits.limits))
    assert in_bins.min() >= 50
    assert None not in limits.limits


def test_a_class_that_calibration_has_not_met_is_never_ruled_out():
    limits = ConformalLimits.calibrate(WEATHER, np.zeros(50, int), np.tile([0.9, 0.05, 0.05], (50, 1)), 0.9)
    assert limits.find_sets(np.array([[1.0, 0.0, 0.0]])).tolist() == [[True, True, True]]


def test_a_class_that_the_model_has_not_learnt_is_in_no_set_but_one_with_few_rows_is():
    known = np.zeros(50, int), np.tile([0.9, 0.1, 0.0], (50, 1))
    limits = ConformalLimits.calibrate(WEATHER, *known, 0.9, learnt=[0, 1])
    assert limits.find_sets(np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])).tolist() == [
        [True, True, False],
        [False, True, False],
    ]


def test_a_set_is_never_empty_though_a_row_may_be_unlike_all_classes():
    limits = ConformalLimits(0.9, "split", 100, BOTH, [0.1, 0.1])
    assert limits.find_members(np.array([0.4])).tolist() == [[False, False]]
    assert limits.find_sets(np.array([0.4])).tolist() == [[True, False]]


def test_no_rows_give_the_trivial_set():
    labels = np.empty(0)
    assert ConformalLimits.calibrate(NUMBER, labels, labels, 0.9).limits == [None]
    assert ConformalLimits.calibrate(BINARY, labels, labels, 0.9).limits == [None, None]


@pytest.mark.parametrize(
    ("limits", "prediction", "described"),
    [
        (ConformalLimits(0.9, "split", 100, BOTH, [0.3, 0.9]), 0.2, {"set": [False, True]}),
        (ConformalLimits(0.9, "split", 100, BOTH, [0.3, 0.5]), 0.2, {"set": [False]}),
        (ConformalLimits(0.9, "split", 100, BOTH, [0.3, 0.5]), 0.9, {"set": [True]}),
        (
            ConformalLimits(0.9, "split", 100, SKY, [0.5, 0.5, None]),
            [0.8, 0.1, 0.1],
            {"set": ["clear", "rain"]},
        ),
        (ConformalLimits(0.9, "split", 100, [], [1.0, 3.0], [10.0]), 10.0, {"interval": [9.0, 11.0]}),
        (ConformalLimits(0.9, "split", 100, [], [1.0, 3.0], [10.0]), 10.5, {"interval": [7.5, 13.5]}),
        (ConformalLimits(0.9, "split", 5, [], [None]), 10.5, {"interval": [None, None]}),
    ],
)
def test_an_answer_says_what_is_promised_and_the_set_or_interval(limits, prediction, described):
    assert describe_uncertainty(limits, np.array([prediction])) == [{"coverage": 0.9, **described}]


@given(arrays.arrays(float, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(0, 1)))
def test_columns_and_answers_say_the_same(predictions):
    limits = ConformalLimits(0.9, "split", 100, SKY, [0.4, 0.9, None])
    columns = compute_uncertainty(limits, predictions)
    sets = [[name for name, is_in in zip(WEATHER.classes, row, strict=True) if is_in] for row in columns.iter_rows()]
    assert columns.columns == ["penumbra.set.clear", "penumbra.set.clouds", "penumbra.set.rain"]
    assert sets == [each["set"] for each in describe_uncertainty(limits, predictions)]


def test_columns_are_null_where_no_model_was_asked():
    number = ConformalLimits(0.9, "split", 100, [], [1.0])
    assert compute_uncertainty(number, np.array([5.0, math.nan])).rows() == [(4.0, 6.0), (None, None)]
    both = compute_uncertainty(ConformalLimits(0.9, "split", 100, BOTH, [0.3, 0.5]), np.array([0.1, math.nan]))
    assert both.to_dict(as_series=False) == {"penumbra.set.false": [True, None], "penumbra.set.true": [False, None]}
    assert both.dtypes == [pl.Boolean, pl.Boolean]


@given(SCORES)
def test_limits_survive_the_json_of_a_bundle(scores):
    limits = ConformalLimits.calibrate(NUMBER, np.array(scores), np.zeros(len(scores)), 0.9)
    assert msgspec.json.decode(msgspec.json.encode(limits), type=ConformalLimits) == limits


@pytest.mark.slow
def test_describing_an_answer_loads_no_frames():
    code = "import sys, penumbra.core.metrics.conformal; print({'polars', 'dataframely'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
