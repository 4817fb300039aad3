"""Labelled rows, the input matrix, and what an estimator is fitted on."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier

from penumbra.core.columns import INPUTS_COLUMN, LABEL_COLUMN
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.task import Task
from penumbra.features import Category, Number
from penumbra.training.fit import (
    MAX_WEIGHT_RATIO,
    TrainingSet,
    build_matrix,
    compute_baseline,
    compute_fit_weights,
    count_category_values,
    extract_labels,
    fit_estimator,
    select_labelled_rows,
)

BINARY = Task("binary")
LABELS = np.array([False, False, True, True])
INPUTS = np.array([[0.0], [1.0], [2.0], [3.0]])


def test_rows_without_an_outcome_are_left_out():
    rows = select_labelled_rows(pl.DataFrame({"delay": [20, None, 3]}), pl.col("delay") > 15)
    assert rows.rows() == [(20, True), (3, False)]


def test_the_matrix_codes_categories_and_keeps_numbers_and_labels():
    inputs = [{"size": 1.5, "colour": "red"}, {"size": None, "colour": None}, {"size": 0.5, "colour": "blue"}]
    rows = pl.DataFrame({INPUTS_COLUMN: inputs, LABEL_COLUMN: [True, False, True]})
    matrix, encoding = build_matrix(rows, [Number("size"), Category("colour")])
    np.testing.assert_array_equal(matrix, [[1.5, 1], [np.nan, -1], [0.5, 0]])
    assert (extract_labels(rows[LABEL_COLUMN], BINARY).tolist(), encoding.tables) == (
        [True, False, True],
        {"colour": {"blue": 0, "red": 1}},
    )


def test_only_an_estimator_that_asks_for_it_is_told_what_the_live_model_said():
    class Asking(DummyClassifier):
        def fit(self, inputs, y, live=None):
            self.heard = live
            return super().fit(inputs, y)

    asking, plain = Asking(), DummyClassifier()
    said = np.full(4, 0.25)
    fit_estimator(asking, TrainingSet(INPUTS, LABELS, said))
    fit_estimator(plain, TrainingSet(INPUTS, LABELS, said))
    assert asking.heard is said


KINDS = (Number("grams"), Category("place"), Category("ring"))


def test_the_baseline_of_a_binary_task_is_the_base_rate():
    assert compute_baseline(Task("binary"), np.array([True, False, False, False])) == 0.25


def test_the_baseline_of_classes_is_their_shares_and_names_those_never_seen():
    assert compute_baseline(Task("multiclass", ("a", "b", "c")), np.array([0, 0, 1, 0])) == [0.75, 0.25, 0.0]


def test_the_baseline_of_numbers_is_their_mean():
    assert compute_baseline(Task("regression"), np.array([1.0, 3.0])) == 2.0


def test_each_value_of_each_category_is_counted_and_missing_ones_are_not():
    rows = pl.DataFrame({"grams": [1.0, 2.0, 3.0], "place": ["wood", "field", "wood"], "ring": [None, "x", None]})
    encoding = FeatureEncoder(KINDS, learn_category_tables(KINDS, derive_features(KINDS, rows)))
    found = count_category_values(
        encoding.encode_frame(derive_features(KINDS, rows)), encoding.categorical, encoding.tables
    )
    assert found == {"place": {"field": 1, "wood": 2}, "ring": {"x": 1}}


def test_weights_of_rows_go_with_them_into_the_fit():
    weights = np.array([1.0, 1.0, 1.0, 3.0])
    training, fitted = TrainingSet(INPUTS, LABELS, weights=weights), DummyClassifier()
    fit_estimator(fitted, training.select_rows(np.array([0, 3])))
    assert fitted.class_prior_.tolist() == [0.25, 0.75]


def test_the_baseline_counts_rows_by_their_weights():
    weights = np.array([1.0, 3.0])
    assert compute_baseline(Task("binary"), np.array([True, False]), weights) == 0.25
    assert compute_baseline(Task("multiclass", ("a", "b")), np.array([0, 1]), weights) == [0.25, 0.75]
    assert compute_baseline(Task("regression"), np.array([1.0, 3.0]), weights) == 2.5
    absolute = Task("regression", loss="absolute_error")
    assert compute_baseline(absolute, np.array([1.0, 3.0]), weights) == 3.0


def test_rows_of_a_batch_count_in_proportion_to_those_they_stand_for_and_once_on_average():
    batches, counts = pl.Series(["a", "a", "b", "b"]), pl.Series([1.0, 1.0, 1.0, 3.0])
    assert compute_fit_weights(batches, counts).tolist() == [1.0, 1.0, 0.5, 1.5]


def test_rows_that_stand_for_equally_many_count_exactly_once():
    assert compute_fit_weights(pl.Series(["a"] * 3), pl.Series([0.1] * 3)).tolist() == [1.0] * 3


def test_no_row_counts_more_than_the_cap_says():
    weights = compute_fit_weights(pl.Series(["a"] * 1000), pl.Series([1.0] * 999 + [1e4]))
    assert weights[-1] / weights[0] == pytest.approx(20 * 999 / 980)
    assert (weights.max(), weights.mean()) == (pytest.approx(MAX_WEIGHT_RATIO), pytest.approx(1))


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=90))
def test_the_cap_holds_of_the_weights_that_it_leaves_and_changes_only_those_above_it(counts):
    weights = compute_fit_weights(pl.Series(["a"] * len(counts)), pl.Series(counts))
    ratios = weights / np.array(counts)
    assert weights.mean() == pytest.approx(1)
    assert weights.max() <= MAX_WEIGHT_RATIO * (1 + 1e-9)
    is_kept = np.isclose(ratios, ratios.max())
    assert weights[~is_kept] == pytest.approx(MAX_WEIGHT_RATIO)
