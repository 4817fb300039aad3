"""The release: compiled, and compared with the fitted estimator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from penumbra.core.task import Task
from penumbra.training.fit import TrainingSet
from penumbra.training.onnx.compile import measure_parity
from penumbra.training.release import ParityError, add_missing_values
from penumbra.training.split import pick_evenly_spaced
from tests.helpers.models.released_models import fit_release

BINARY = Task("binary")
INPUTS = np.array([[0.0], [1.0], [2.0], [3.0]])


MANY = np.column_stack([np.linspace(-1, 1, 400), np.arange(400) % 5])


def gap_filling_linear():
    return make_pipeline(SimpleImputer(), LogisticRegression())


def release_estimator(estimator):
    return fit_release(estimator, TrainingSet(MANY, MANY[:, 0] > 0), MANY[:100], categorical=[1], task=BINARY)


def test_a_release_answers_as_the_fitted_estimator_on_its_probe():
    estimator = HistGradientBoostingClassifier(categorical_features=[1], max_iter=5)
    made = release_estimator(estimator)
    assert made.compiled
    assert made.parity <= 1e-9
    assert measure_parity(estimator, made.model, made.probe) <= 1e-9
    np.testing.assert_array_equal(made.answers, estimator.predict_proba(made.probe))


def test_the_probe_has_missing_values_in_every_column():
    probe = release_estimator(HistGradientBoostingClassifier(categorical_features=[1], max_iter=2)).probe
    assert (np.isnan(probe[:, 0]).any(), (probe[:, 1] == -1).any(), np.isnan(probe[:, 1]).any()) == (True, True, False)


@pytest.mark.parametrize("wrong", [1e-8, np.nan])
def test_a_compiled_model_that_differs_from_the_fitted_one_is_not_released(wrong):
    """The estimator's own answers are shifted, but only where the first column is missing."""
    estimator = HistGradientBoostingClassifier(max_iter=2)
    honest = estimator.predict_proba
    estimator.predict_proba = lambda rows: honest(rows) + np.where(np.isnan(rows[:, :1]), wrong, 0)
    with pytest.raises(ParityError, match="HistGradientBoostingClassifier differ by"):
        release_estimator(estimator)


def test_an_estimator_that_cannot_be_compiled_is_released_as_it_is_with_the_reason():
    made = release_estimator(make_pipeline(SimpleImputer(), KNeighborsClassifier()))
    assert (made.compiled, made.uncompiled.split(";")[0]) == (
        False,
        "cannot compile KNeighborsClassifier: its type is unknown",
    )
    assert made.model.startswith(b"PK")


def test_a_regression_is_released_with_its_values_as_answers():
    made = fit_release(LinearRegression(), TrainingSet(INPUTS, INPUTS[:, 0]), INPUTS, [0], Task("regression"))
    np.testing.assert_allclose(made.answers, made.probe[:, 0], atol=1e-9)


def test_a_classifier_that_has_not_seen_every_class_is_not_released():
    task = Task("multiclass", ("calm", "windy", "storm"))
    with pytest.raises(ValueError, match="the training rows have no windy"):
        fit_release(LogisticRegression(), TrainingSet(INPUTS, np.array([0, 2, 0, 2])), INPUTS, [0], task)


def test_awkward_rows_are_the_rows_and_each_again_with_one_value_missing():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(add_missing_values(rows, categorical=[1])[:3], rows)
    np.testing.assert_array_equal(add_missing_values(rows, categorical=[1])[3:], [[np.nan, 2], [3, -1], [np.nan, 6]])


@given(st.integers(1, 1000), st.integers(1, 300))
def test_spread_positions_are_different_and_within_the_rows(count, most):
    positions = pick_evenly_spaced(count, most)
    assert len(set(positions)) == len(positions) <= most
    assert 0 <= positions.min() <= positions.max() < count


@pytest.mark.parametrize("estimator", [HistGradientBoostingClassifier(max_iter=5), gap_filling_linear()])
def test_a_column_without_any_value_in_the_training_rows_is_compiled_and_changes_no_answer(estimator):
    """As where a source was away for all of the training days, and is back once the model answers."""
    inputs = np.column_stack([MANY[:, 0], np.full(len(MANY), np.nan)])
    made = fit_release(estimator, TrainingSet(inputs, MANY[:, 0] > 0), inputs[:100], categorical=[], task=BINARY)
    assert made.compiled
    back = np.where(np.isnan(made.probe), [0.0, 7.0], made.probe)
    missing = np.column_stack([back[:, 0], np.full(len(back), np.nan)])
    np.testing.assert_allclose(estimator.predict_proba(back), estimator.predict_proba(missing))
    assert measure_parity(estimator, made.model, back) <= 1e-9
