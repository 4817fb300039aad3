"""The conventions of scikit-learn that all patterns keep."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import estimator_checks_generator

from penumbra.patterns.augmentation import Augmented
from penumbra.patterns.cascade import Cascade
from tests.patterns.small_patterns import (
    COLUMNS,
    INPUTS,
    LABELS,
    PATTERNS,
    compute_mean_log_loss,
    fit_pattern,
    leave_unchanged,
)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_clone_has_the_same_parameters_and_nothing_learnt(name):
    copy = clone(fit_pattern(name))
    assert repr(copy) == repr(PATTERNS[name])
    assert [each for each in vars(copy) if each.endswith("_")] == []


@pytest.mark.parametrize("name", PATTERNS)
def test_parameters_of_the_estimator_within_can_be_set_by_name(name):
    within = next(key for key, value in PATTERNS[name].get_params(deep=False).items() if hasattr(value, "fit"))
    changed = clone(PATTERNS[name]).set_params(**{f"{within}__fit_intercept": False})
    assert changed.get_params()[within].fit_intercept is False


@pytest.mark.parametrize("name", PATTERNS)
def test_a_fitted_pattern_is_better_than_the_base_rate_and_reports_numbers(name):
    fitted = fit_pattern(name)
    base = DummyClassifier().fit(INPUTS, LABELS).predict_proba(INPUTS)
    assert compute_mean_log_loss(fitted.predict_proba(INPUTS)) < 0.8 * compute_mean_log_loss(base)
    assert {type(value) for value in fitted.report_.values()} == {float}


CHECKED = [Cascade(LogisticRegression(C=0.1), LogisticRegression()), Augmented(Ridge(), leave_unchanged, COLUMNS)]
CHECKS = ("n_features_in", "unfitted", "dict_unchanged", "dtype_object", "complex", "idempotent", "regression_target")


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        (estimator, check)
        for each in CHECKED
        for estimator, check in estimator_checks_generator(each)
        if any(part in check.func.__name__ for part in CHECKS)
    ],
)
def test_the_conventions_of_scikit_learn_hold(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["cascade", "hard negatives"])
def test_more_than_two_classes_are_refused_by_name(name):
    kind = type(PATTERNS[name]).__name__
    with pytest.raises(ValueError, match=f"Only binary classification.*{kind} was given 3 classes: 0, 1, 2"):
        clone(PATTERNS[name]).fit(INPUTS, np.arange(400) % 3)
