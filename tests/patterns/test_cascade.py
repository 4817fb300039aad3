"""Cascades: thresholds, and which model answers which row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from penumbra.patterns.cascade import Cascade, choose_thresholds
from tests.patterns.small_patterns import INPUTS, fit_pattern


def test_a_budget_without_end_leaves_every_row_to_the_cheap_model():
    settings = choose_thresholds(np.array([0.2, 0.4, 0.6]), np.array([5.0, 5.0, 5.0]), budget=5.0)
    assert (settings["cheap_share"], settings["expensive_share"]) == (1, 0)


def test_without_a_budget_the_cheap_model_answers_only_where_it_costs_nothing():
    settings = choose_thresholds(np.array([0.1, 0.2, 0.8, 0.9]), np.array([-0.1, 0.3, 0.3, 0.1]), budget=0.0)
    assert settings == {
        "low": pytest.approx(0.15),
        "high": pytest.approx(0.85),
        "cheap_share": 0.5,
        "expensive_share": 0.5,
        "loss_above_expensive": pytest.approx(0.0),
    }


probabilities = st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), min_size=1, max_size=60)


@given(probabilities, st.floats(0, 0.5))
def test_thresholds_keep_the_budget_and_say_truly_what_they_do(pairs, budget):
    cheap, excess = np.array(pairs).T
    settings = choose_thresholds(cheap, excess, budget)
    sure = (cheap < settings["low"]) | (cheap > settings["high"])
    assert settings["low"] <= settings["high"]
    assert sure.mean() == pytest.approx(settings["cheap_share"])
    assert excess[sure].sum() / len(cheap) <= budget + 1e-9


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.floats(-1, 1)), min_size=1, max_size=6))
def test_no_other_pair_of_thresholds_lets_the_cheap_model_answer_more(pairs):
    cheap, excess = np.array(pairs).T
    edges = [0.0, 0.2, 0.4, 0.7, 1.0]
    tried = [(cheap < low) | (cheap > high) for low in edges for high in edges if low <= high]
    best = max(sure.mean() for sure in tried if excess[sure].sum() / len(cheap) <= 0.1)
    assert choose_thresholds(cheap, excess, budget=0.1)["cheap_share"] == pytest.approx(best)


@given(probabilities, st.sampled_from([0.0, 1e-16, -1e-16]), st.floats(0, 0.5))
def test_who_answers_does_not_hang_on_the_last_bit(pairs, noise, budget):
    cheap, excess = np.array(pairs).T
    settings = choose_thresholds(cheap, excess, budget)
    sure, again = ((p < settings["low"]) | (p > settings["high"]) for p in (cheap, cheap + noise))
    np.testing.assert_array_equal(sure, again)


def test_each_row_is_answered_by_the_model_that_has_to():
    fitted = fit_pattern("cascade")
    sure = fitted.mask_cheap_rows(INPUTS)
    fitted.report_["low"], fitted.report_["high"] = np.quantile(fitted.cheap_.predict_proba(INPUTS)[:, 1], [0.3, 0.6])
    sure = fitted.mask_cheap_rows(INPUTS)
    assert 0 < sure.sum() < len(sure)
    said = fitted.predict_proba(INPUTS)
    np.testing.assert_array_equal(said[sure], fitted.cheap_.predict_proba(INPUTS)[sure])
    np.testing.assert_allclose(said[~sure], fitted.expensive_.predict_proba(INPUTS)[~sure])


def test_the_thresholds_come_from_the_latest_rows_only():
    """On the earlier rows the cheap model is useless, on the latest it is as good as the expensive one."""
    inputs = np.random.default_rng(2).normal(size=(400, 2))
    truth = np.where(np.arange(400) < 300, inputs[:, 1], 0) > 0
    truth[300:] = np.arange(100) % 2 == 0
    cascade = Cascade(DummyClassifier(), LogisticRegression(), budget=0.0, tail=0.25).fit(inputs, truth)
    assert cascade.report_["cheap_share"] == 1
