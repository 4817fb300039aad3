import functools
import json

import numpy as np
import polars as pl
import pytest
from dataframely.random import Generator
from hypothesis import given
from hypothesis import strategies as st

import problem.schema
from penumbra.core.encoding import FeatureEncoder, derive_features, fill_empty_columns, learn_category_tables
from penumbra.features import Category, Expression, Number
from problem.features import FEATURES

ROW_COUNT = 300
EVERY_KIND = (*FEATURES, Expression("cold", pl.col("temp") < 32, problem.schema.Row))
MIXED = (Number("size"), Category("colour"), Category("shape"))
FEW = pl.DataFrame({"size": [1.5, None], "colour": ["red", "blue"], "shape": [None, "round"]})


@functools.cache
def sample_rows():
    return problem.schema.Row.sample(ROW_COUNT, generator=Generator(1))


def learnt(kinds, rows):
    return FeatureEncoder(tuple(kinds), learn_category_tables(kinds, derive_features(kinds, rows)))


@given(known=st.integers(0, 20), rows=st.lists(st.integers(0, ROW_COUNT - 1), min_size=1, max_size=10))
def test_a_record_gives_the_same_numbers_as_its_row_in_a_frame(known, rows):
    inputs = learnt(EVERY_KIND, sample_rows().head(known))
    settings, row = sample_rows()[rows], inputs.row()
    one_by_one = np.array([row(record) for record in settings.to_dicts()], dtype=float)
    np.testing.assert_array_equal(inputs.encode_rows(settings), one_by_one)


def test_the_rows_of_that_test_have_missing_values_in_every_nullable_column():
    nullable = [name for name, column in problem.schema.Row.columns().items() if column.nullable]
    assert [name for name in nullable if not sample_rows()[name].has_nulls()] == []


def test_categories_are_numbered_in_alphabetical_order():
    assert learn_category_tables(MIXED, FEW) == {"colour": {"blue": 0, "red": 1}, "shape": {"round": 0}}


@given(st.permutations(["b", "a", None, "c", "a"]))
def test_the_order_of_rows_does_not_change_the_codes(values):
    assert learn_category_tables([Category("x")], pl.DataFrame({"x": values})) == {"x": {"a": 0, "b": 1, "c": 2}}


def test_missing_and_unseen_categories_are_minus_one_and_missing_numbers_nan():
    new = pl.DataFrame({"size": [2.0, None], "colour": ["green", "red"], "shape": [None, "round"]})
    np.testing.assert_array_equal(learnt(MIXED, FEW).encode_frame(new), [[2.0, -1, -1], [np.nan, 1, 0]])


def test_a_category_that_was_always_missing_in_training_is_unseen_ever_after():
    inputs = learnt([Category("x")], pl.DataFrame({"x": [None]}, schema={"x": pl.String}))
    new = pl.DataFrame({"x": ["a", None]})
    assert (inputs.encode_frame(new).tolist(), inputs.row()({"x": "a"})) == ([[-1.0], [-1.0]], [-1.0])


def test_positions_of_categories_and_numbers_cover_the_columns():
    inputs = learnt(MIXED, FEW)
    assert (inputs.names, inputs.numeric, inputs.categorical) == (["size", "colour", "shape"], [0], [1, 2])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_matrix_is_contiguous_float64_whatever_the_number_of_rows(count):
    matrix = learnt(MIXED, FEW).encode_frame(FEW.head(count))
    assert (matrix.dtype, matrix.shape, matrix.flags.c_contiguous) == (np.float64, (count, 3), True)


def test_the_tables_survive_json():
    inputs = learnt(EVERY_KIND, sample_rows())
    again = FeatureEncoder(EVERY_KIND, json.loads(json.dumps(inputs.tables)))
    np.testing.assert_array_equal(again.encode_rows(sample_rows()), inputs.encode_rows(sample_rows()))


def test_the_expressions_of_features_are_built_once_however_many_lists_are_encoded():
    built = []

    class NotedNumber(Number):
        def expr(self):
            built.append(self.column)
            return super().expr()

    inputs = FeatureEncoder((NotedNumber("size"),), {})
    assert [inputs.encode_rows(FEW.head(count)).shape for count in (1, 2)] == [(1, 1), (2, 1)]
    assert built == ["size"]


def test_only_columns_without_any_value_become_constant():
    rows = np.array([[1.0, np.nan, np.nan], [np.nan, np.nan, 2.0]])
    np.testing.assert_array_equal(fill_empty_columns(rows), [[1.0, 0.0, np.nan], [np.nan, 0.0, 2.0]])
