"""Hard negatives: which rows are repeated, which left out as noise."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from penumbra.patterns.hard_negatives import HardNegatives, find_label_issues
from tests.patterns.small_patterns import (
    INPUTS,
    LABELS,
    RANDOM,
    RowRecorder,
    compute_mean_log_loss,
)


def shown(live, truth, **parameters):
    """How often each row is shown; rows are told apart by their first column."""
    inputs = np.column_stack([np.arange(len(truth)), np.zeros(len(truth))])
    fitted = HardNegatives(RowRecorder(), **parameters).fit(inputs, truth, live=live)
    return np.bincount(fitted.estimator_.rows_, minlength=len(truth)), fitted.report_


TRUTH = np.arange(40) % 2 == 0


def test_what_the_live_model_got_confidently_wrong_stands_twice():
    live = np.full(40, 0.5)
    live[[10, 11]] = 0.05, 0.95
    times, report = shown(live, TRUTH, noise=0.0)
    assert np.flatnonzero(times == 2).tolist() == [10, 11]
    assert report == {"rows_weighted": 2.0, "rows_left_out_as_noise": 0.0}


def test_rows_that_the_live_model_is_right_about_or_does_not_know_stand_once():
    live = np.where(TRUTH, 0.99, 0.01)
    live[20:] = np.nan
    times, _ = shown(live, TRUTH)
    assert set(times) == {1}


def test_the_most_extreme_rows_are_left_out_where_an_independent_model_doubts_them_too():
    live = np.full(40, 0.5)
    live[[12, 30]] = 0.01, 0.02
    truth = TRUTH.copy()
    times, report = shown(live, truth, noise=0.025)
    assert (times[12], times[30], report["rows_left_out_as_noise"]) == (0, 2, 1.0)


def test_without_a_live_model_the_estimator_finds_its_own_mistakes_ahead_in_time():
    inputs = np.repeat([[-3.0], [3.0]], 100, axis=0)[RANDOM.permutation(200)]
    truth = inputs[:, 0] > 0
    truth[150:160] = ~truth[150:160]
    found = HardNegatives(LogisticRegression(), noise=0.0).fit(inputs, truth).report_
    assert found["rows_weighted"] == 10


def test_probabilities_are_right_although_wrong_rows_stand_several_times():
    fitted = HardNegatives(LogisticRegression(), extra=5, confident=0.3).fit(INPUTS, LABELS)
    assert (
        compute_mean_log_loss(fitted.predict_proba(INPUTS))
        < compute_mean_log_loss(fitted.estimator_.predict_proba(INPUTS)) - 0.01
    )
    assert fitted.predict_proba(INPUTS)[:, 1].mean() == pytest.approx(LABELS.mean(), abs=0.005)


def test_a_row_is_doubtful_where_the_other_class_is_as_likely_as_it_usually_is():
    said, truth = np.array([0.8, 0.9, 0.1, 0.2, 0.95, np.nan]), np.array([True, True, True, False, False, False])
    assert find_label_issues(said, truth).tolist() == [False, False, True, False, True, False]
