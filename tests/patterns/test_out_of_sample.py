"""Predictions out of sample, and the calibration of scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from penumbra.patterns.out_of_sample import fit_calibration, predict_out_of_sample


class Recorder(LinearRegression):
    """Predicts how many rows it has learnt from."""

    def fit(self, inputs, y):
        self.seen_ = len(y)
        return self

    def predict(self, inputs):
        return np.full(len(inputs), self.seen_)


def test_every_row_is_predicted_by_what_learnt_from_earlier_blocks_only():
    said = predict_out_of_sample(Recorder(), np.zeros((8, 1)), np.zeros(8), folds=3)
    np.testing.assert_array_equal(said, [np.nan, np.nan, 2, 2, 4, 4, 6, 6])


def test_rows_count_as_often_as_they_are_told_to():
    said = predict_out_of_sample(
        Recorder(), np.zeros((8, 1)), np.zeros(8), folds=3, copies=np.array([0, 3, 1, 1, 1, 1, 9, 9])
    )
    np.testing.assert_array_equal(said, [np.nan, np.nan, 3, 3, 5, 5, 7, 7])


@settings(max_examples=8)
@given(st.floats(-2, 2), st.floats(0.05, 0.95))
def test_calibrated_scores_have_the_base_rate_whatever_the_blocks_say(shift, rate):
    final = np.linspace(-3, 3, 200)
    truth = np.arange(200) % 100 < rate * 100
    scores = np.where(np.arange(200) < 50, np.nan, final + shift)
    slope, intercept = fit_calibration(scores, final, truth, folds=3)
    assert (1 / (1 + np.exp(-slope * final - intercept))).mean() == pytest.approx(truth.mean(), abs=1e-6)


def test_a_rise_of_the_base_rate_from_block_to_block_does_not_blunt_the_slope():
    random = np.random.default_rng(1)
    scores, block = random.normal(size=4000), np.repeat([0, 1, 2, 3], 1000)
    truth = random.random(4000) < 1 / (1 + np.exp(-2 * scores - block + 1.5))
    slope, _ = fit_calibration(np.where(block == 0, np.nan, scores), scores, truth, folds=3)
    assert slope == pytest.approx(2, abs=0.25)
