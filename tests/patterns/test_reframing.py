"""Reframing: a regressor that gives probabilities."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier

from tests.patterns.small_patterns import INPUTS, PATTERNS, QUANTITY, fit_pattern


def test_a_reframed_regressor_gives_probabilities_of_being_above():
    fitted = fit_pattern("reframed")
    assert fitted.classes_.tolist() == [False, True]
    assert is_classifier(fitted)
    np.testing.assert_array_equal(fitted.predict(INPUTS), fitted.predict_proba(INPUTS)[:, 1] > 0.5)


def test_one_extreme_quantity_changes_hardly_any_probability():
    extreme = QUANTITY.copy()
    extreme[3] = 1e6
    change = clone(PATTERNS["reframed"]).fit(INPUTS, extreme).predict_proba(INPUTS) - fit_pattern(
        "reframed"
    ).predict_proba(INPUTS)
    assert np.abs(change).max() < 0.05


def test_a_limit_that_no_quantity_exceeds_is_named_with_the_quantities():
    with pytest.raises(
        ValueError, match=rf"above=1000\) was given a quantity from .* to {QUANTITY.max():.6g}: expected"
    ):
        clone(PATTERNS["reframed"]).set_params(above=1000).fit(INPUTS, QUANTITY)
