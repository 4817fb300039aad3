"""Which columns mattered for a prediction, and which rows are near."""

import dataframely as dy
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from monitoring.dashboard.review.row_comparison import RowComparison
from penumbra.core.columns import LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.features import Category, Number
from penumbra.registry.bundles.bundle import Bundle, read_bundle, read_reference_rows
from penumbra.registry.bundles.bundle_writing import write_reference_rows
from problem import schema
from tests.helpers.servers import local_service


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return read_bundle(local_service.make_bundle(tmp_path_factory.mktemp("model"), depth=2), local_service.PROBLEM)


@pytest.fixture(scope="module")
def comparison(loaded):
    return RowComparison(loaded)


@pytest.mark.slow
def test_only_what_the_prediction_depends_on_matters(loaded, comparison):
    row = schema.Row.sample(1, generator=dy.random.Generator(4))
    relevance = comparison.measure_relevance(row)
    assert set(relevance) == set(row.columns)
    assert 0 < len([value for value in relevance.values() if value]) <= 3  # a tree of two levels asks of three inputs
    column, least = max(relevance, key=relevance.get), min(relevance, key=relevance.get)
    reference = read_reference_rows(loaded.path).filter(pl.col(LABEL_COLUMN).is_not_null())
    expected = [
        abs(loaded.score(row.with_columns(value.alias(column)))[0] - loaded.score(row)[0])
        for value in (reference[n : n + 1][column] for n in range(reference.height))
    ]
    assert relevance[column] == pytest.approx(sum(expected) / len(expected))
    assert relevance[least] == 0


@pytest.mark.slow
def test_the_nearest_row_is_the_row_itself_where_it_is_in_the_reference(loaded, comparison):
    reference = read_reference_rows(loaded.path)
    row = reference[3:4].select(schema.Row.column_names())
    near = comparison.find_neighbours(row, 5)
    assert near.height == 5
    assert near.select(row.columns)[0].equals(row)


class Bird(dy.Schema):
    place = dy.Enum(["sea", "wood"])
    grams = dy.Float64(nullable=True)
    ring = dy.Int32()


BIRDS = pl.DataFrame(
    {"place": ["sea", "wood"] * 8, "grams": [*map(float, range(15)), None], "ring": range(16)},
    schema={name: column.dtype for name, column in Bird.columns().items()},
)
KINDS = (Category("place"), Number("grams"))


def make_bird_comparison(folder, task, estimator, labels):
    derived = derive_features(KINDS, BIRDS)
    inputs = FeatureEncoder(KINDS, learn_category_tables(KINDS, derived))
    estimator.fit(inputs.encode_frame(derived), labels)
    write_reference_rows(
        folder, BIRDS.with_columns(pl.Series(LABEL_COLUMN, labels), pl.lit(0.0).alias(PREDICTION_COLUMN))
    )
    return RowComparison(Bundle(folder, {"version": "1", "task": task}, inputs, None, estimator))


@pytest.mark.parametrize(
    ("task", "estimator", "labels", "change"),
    [
        ({"kind": "multiclass", "classes": ["a", "b", "c"]}, DecisionTreeClassifier(), [0, 2] * 8, 0.5),
        ({"kind": "regression"}, DecisionTreeRegressor(), [10.0, 14.0] * 8, 2.0),
    ],
    ids=["multi-class", "regression"],
)
def test_of_several_classes_and_of_numbers_the_change_is_measured_too(tmp_path, task, estimator, labels, change):
    comparison = make_bird_comparison(tmp_path, task, estimator, labels)
    relevance = comparison.measure_relevance(BIRDS[4:5])
    assert relevance == {"place": pytest.approx(change), "grams": 0, "ring": 0}


def test_a_number_counts_by_standard_deviations_and_a_missing_one_like_another_category(tmp_path):
    comparison = make_bird_comparison(tmp_path, {"kind": "regression"}, DecisionTreeRegressor(), [1.0] * 16)
    near = comparison.find_neighbours(BIRDS[4:5], 4)
    assert near["ring"].to_list() == [4, 2, 6, 0]  # the same place, a standard deviation is 4.3 grams
    missing = comparison.find_neighbours(BIRDS[15:16], 2)
    assert (missing["ring"][0], missing["place"][1]) == (15, "wood")


def test_without_reference_rows_nothing_is_compared(tmp_path):
    made = local_service.make_bundle(tmp_path)
    loaded = read_bundle(made, local_service.PROBLEM)
    (made / "reference.parquet").unlink()
    schema.Row.create_empty().with_columns(pl.lit(None, pl.Boolean).alias(LABEL_COLUMN)).write_parquet(
        made / "reference.parquet"
    )
    row, empty = schema.Row.sample(1), RowComparison(loaded)
    assert empty.measure_relevance(row) == {}
    assert empty.find_neighbours(row, 5).is_empty()
