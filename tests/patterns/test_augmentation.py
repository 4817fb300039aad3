"""Augmentation: altered copies of rows."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

from penumbra.patterns.augmentation import Augmented
from problem.augment import JITTER, SENSORS, augment, outage
from tests.patterns.small_patterns import (
    COLUMNS,
    INPUTS,
    LABELS,
    RowRecorder,
    leave_unchanged,
)


def test_each_row_is_followed_by_its_altered_copies():
    shifted = lambda matrix, columns, rng: matrix + 100  # noqa: E731
    fitted = Augmented(RowRecorder(), shifted, COLUMNS, copies=2).fit(np.array([[1.0, 0], [2, 0]]), [False, True])
    assert fitted.estimator_.rows_.tolist() == [1, 101, 101, 2, 102, 102]
    assert fitted.report_ == {"rows_added": 4.0}


class Forbidden(Exception):
    pass


def test_what_is_predicted_is_never_altered():
    def only_once(matrix, columns, rng):
        if len(matrix) != len(INPUTS):
            raise Forbidden
        return matrix

    fitted = Augmented(LogisticRegression(), only_once, COLUMNS).fit(INPUTS, LABELS)
    fitted.alter = None
    new = INPUTS[:7].copy()
    np.testing.assert_array_equal(fitted.predict_proba(new), fitted.estimator_.predict_proba(new))
    np.testing.assert_array_equal(new, INPUTS[:7])


def test_an_alteration_in_place_does_not_reach_the_rows_themselves():
    def zero(matrix, columns, rng):
        matrix[:] = 0
        return matrix

    inputs = INPUTS.copy()
    Augmented(LogisticRegression(), zero, COLUMNS).fit(inputs, LABELS)
    np.testing.assert_array_equal(inputs, INPUTS)


def test_an_alteration_of_another_shape_is_named():
    def wider(matrix, columns, rng):
        return np.hstack([matrix, matrix])

    with pytest.raises(ValueError, match=re.escape("wider was given a matrix (400, 2) and returned (400, 4)")):
        Augmented(LogisticRegression(), wider, COLUMNS).fit(INPUTS, LABELS)


def test_an_augmented_estimator_is_what_the_estimator_is():
    assert is_regressor(Augmented(HistGradientBoostingRegressor(), leave_unchanged, COLUMNS))
    assert is_classifier(Augmented(HistGradientBoostingClassifier(), leave_unchanged, COLUMNS))


def test_the_examples_alterations_touch_weather_only_and_lose_all_of_it_at_once():
    names = ["distance", *SENSORS]
    columns = SimpleNamespace(names=names, categorical=[], numeric=list(range(len(names))))
    rows = augment(np.ones((1000, len(names))), columns, np.random.default_rng(0))
    missing = np.isnan(rows)
    assert (rows[:, 0] == 1).all()
    assert set(missing[:, 1:].sum(axis=1)) == {0, len(SENSORS)}
    assert 0.1 < missing[:, 1].mean() < 0.3
    present = rows[~missing[:, 1]]
    assert [name for name, spread in zip(names, present.std(axis=0), strict=True) if spread > 0] == list(JITTER)


def test_an_outage_takes_the_share_that_it_is_told():
    columns = SimpleNamespace(names=SENSORS, categorical=[], numeric=[])
    rows = outage(np.ones((1000, len(SENSORS))), columns, np.random.default_rng(0), share=1.0)
    assert np.isnan(rows).all()
