import dataclasses

import numpy as np
import polars as pl
import pytest

from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.registry.bundles.version_facts import find_bundle_limits
from penumbra.reviews.selection.uncertainty import ModelUncertainty

NAN = float("nan")


def learn(task, threshold, labels, predictions):
    reference = pl.DataFrame({LABEL_COLUMN: labels, PREDICTION_COLUMN: predictions})
    limits = find_bundle_limits({"task": dataclasses.asdict(task)}, reference, load_settings().uncertainty)
    return ModelUncertainty(task, threshold, reference, limits)


def learn_binary(threshold=0.3, errors=0):
    """Probabilities 0.01 to 0.99, and labels that are wrong so often among the surest."""
    probabilities = np.arange(1, 100) / 100
    labels = probabilities > 0.5
    labels[:errors] = True
    return learn(Task("binary"), threshold, labels, probabilities)


def test_the_closest_twentieth_of_held_out_rows_says_what_a_close_call_is():
    close = learn_binary().find_close_calls(np.array([0.3, 0.32, 0.28, 0.34, 0.26, 0.5]))
    assert close.tolist() == [True, True, True, False, False, False]


def test_of_several_classes_the_margin_of_the_two_most_probable_counts():
    shares = np.linspace(0.34, 0.9, 100)
    predictions = pl.Series([[share, 0.95 - share, 0.05] for share in shares], dtype=pl.Array(pl.Float64, 3))
    labels = pl.Series(["a"] * 100, dtype=pl.Enum(["a", "b", "c"]))
    found = learn(Task("multiclass", ("a", "b", "c")), NAN, labels, predictions)
    assert found.find_close_calls(np.array([[0.48, 0.47, 0.05], [0.1, 0.1, 0.8]])).tolist() == [True, False]


def test_a_set_with_both_classes_is_wide_where_the_model_errs_often():
    wide = learn_binary(errors=30).find_wide_sets(np.array([0.02, 0.4, 0.98]))
    assert wide.tolist() == [False, True, False]


def test_an_empty_set_is_wide_where_the_model_seldom_errs():
    predictions, labels = [0.01] * 50 + [0.99] * 50, [False] * 50 + [True] * 50
    wide = learn(Task("binary"), 0.5, labels, predictions).find_wide_sets(np.array([0.01, 0.4, 0.99]))
    assert wide.tolist() == [False, True, False]


def test_a_class_that_is_in_every_set_makes_a_row_wide_only_where_it_is_the_most_probable():
    limits = ConformalLimits(0.9, "split", 300, ["a", "b", "rare"], [0.4, 0.4, None])
    outputs = np.array([[0.9, 0.05, 0.05], [0.5, 0.5, 0.0], [0.62, 0.38, 0.0], [0.05, 0.05, 0.9]])
    reference = pl.DataFrame({PREDICTION_COLUMN: outputs})
    found = ModelUncertainty(Task("multiclass", ("a", "b", "rare")), np.nan, reference, limits)
    assert limits.find_members(outputs)[:, 2].all()
    assert found.find_wide_sets(outputs).tolist() == [False, True, False, False]


def test_of_numbers_the_bin_with_the_widest_interval_is_wide():
    predictions = np.linspace(0, 99, 1000)
    labels = predictions + np.where((predictions >= 30) & (predictions < 40), 50.0, 1.0)
    found = learn(Task("regression"), NAN, labels, predictions)
    assert found.find_wide_sets(np.array([5.0, 35.0, 95.0])).tolist() == [False, True, False]
    assert not found.find_close_calls(np.array([5.0, 35.0])).any()


@pytest.mark.parametrize("task", [Task("binary"), Task("regression")])
def test_without_held_out_rows_nothing_is_known_to_be_unsure(task):
    found = learn(task, 0.5, pl.Series([], dtype=pl.Boolean), pl.Series([], dtype=pl.Float64))
    assert not found.find_close_calls(np.array([0.5])).any()
    assert not found.find_wide_sets(np.array([0.5])).any()
