"""Weights of rows reach every fit; where all are 1 nothing changes, and what takes none is refused by name."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penumbra.patterns.weighting import WeightsRefused, fit_weighted
from tests.patterns.small_patterns import INPUTS, LABELS, PATTERNS, QUANTITY, fit_pattern

MANY = np.where(LABELS, 3.0, 0.5)
RATE = np.average(LABELS, weights=MANY)


def fit_with(name, weights):
    y = QUANTITY if name == "reframed" else LABELS
    return fit_weighted(clone(PATTERNS[name]), INPUTS, y, weights)


@pytest.mark.parametrize("name", PATTERNS)
def test_weights_of_1_give_the_same_model_to_the_last_bit(name):
    plain, weighted = fit_pattern(name), clone(PATTERNS[name])
    weighted.fit(INPUTS, QUANTITY if name == "reframed" else LABELS, sample_weight=np.ones(400))
    np.testing.assert_array_equal(weighted.predict_proba(INPUTS), plain.predict_proba(INPUTS))
    assert weighted.report_ == plain.report_


@pytest.mark.parametrize("name", PATTERNS)
def test_a_weighted_pattern_predicts_the_weighted_base_rate(name):
    mean = np.average(fit_with(name, MANY).predict_proba(INPUTS)[:, 1], weights=MANY)
    assert mean == pytest.approx(RATE, abs=0.03)
    assert abs(LABELS.mean() - RATE) > 0.2


class NoWeights(LogisticRegression):
    def fit(self, inputs, y):
        return super().fit(inputs, y)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_around_an_estimator_without_weights_is_refused_by_its_name(name):
    within = next(key for key, value in PATTERNS[name].get_params(deep=False).items() if hasattr(value, "fit"))
    pattern = clone(PATTERNS[name]).set_params(**{within: NoWeights()})
    with pytest.raises(WeightsRefused, match=r"^NoWeights takes no weights of rows .*take an estimator that has it"):
        fit_weighted(pattern, INPUTS, QUANTITY if name == "reframed" else LABELS, MANY)


def test_weights_of_1_need_nothing_of_the_estimator():
    assert fit_weighted(NoWeights(), INPUTS, LABELS, np.ones(400)).coef_.shape == (1, 2)


def test_a_pipeline_gives_the_weights_to_its_last_step():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    fitted = fit_weighted(pipeline, INPUTS, LABELS, MANY)
    plain = LogisticRegression().fit(StandardScaler().fit_transform(INPUTS), LABELS, sample_weight=MANY)
    np.testing.assert_array_equal(fitted[-1].coef_, plain.coef_)
    with pytest.raises(WeightsRefused, match="KNeighborsClassifier takes no weights"):
        fit_weighted(make_pipeline(StandardScaler(), KNeighborsClassifier()), INPUTS, LABELS, MANY)


def test_an_estimator_that_hands_on_what_it_is_given_is_judged_by_the_one_within():
    fitted = fit_weighted(TransformedTargetRegressor(LinearRegression()), INPUTS, QUANTITY, MANY)
    plain = LinearRegression().fit(INPUTS, QUANTITY, sample_weight=MANY)
    np.testing.assert_allclose(fitted.regressor_.coef_, plain.coef_)
