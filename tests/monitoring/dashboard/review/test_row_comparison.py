"""Which columns mattered for a prediction, and which rows are near."""

import dataframely as dy
import polars as pl
import pytest

from monitoring.dashboard.review.row_comparison import RowComparison
from penumbra.core.columns import LABEL_COLUMN
from penumbra.registry.bundle import read_bundle, read_reference_rows
from problem import schema
from tests.helpers import local_service


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return read_bundle(local_service.make_bundle(tmp_path_factory.mktemp("model"), depth=2), local_service.PROBLEM)


@pytest.fixture(scope="module")
def comparison(loaded):
    return RowComparison(loaded)


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


def test_the_nearest_row_is_the_row_itself_where_it_is_in_the_reference(loaded, comparison):
    reference = read_reference_rows(loaded.path)
    row = reference[3:4].select(schema.Row.column_names())
    near = comparison.find_neighbours(row, 5)
    assert near.height == 5
    assert near.select(row.columns)[0].equals(row)


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
