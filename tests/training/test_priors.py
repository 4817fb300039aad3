import numpy as np
import polars as pl

from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.core.task import Task
from penumbra.features import Category, Number
from penumbra.training.fit import compute_baseline, count_category_values

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
