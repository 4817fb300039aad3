from types import SimpleNamespace

import dataframely as dy
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.data.failure_set import FailureSet
from penumbra.storage.sealed import get_seal_path
from penumbra.training.split import mask_matching_rows, select_worst_failures


class Sighting(dy.Schema):
    species = dy.Enum(["crow", "owl"], primary_key=True)
    place = dy.Int64(primary_key=True)
    grams = dy.Float64()


def failed(*places: int, model: str = "1", loss: float = 3.0) -> pl.DataFrame:
    rows = pl.DataFrame({"species": ["owl"] * len(places), "place": places}, {"species": pl.String, "place": pl.Int64})
    facts = {"penumbra.batch": pl.lit("2013-04"), "penumbra.model": pl.lit(model), "penumbra.loss": pl.lit(loss)}
    return rows.with_columns(pl.col("species").cast(pl.Enum(["crow", "owl"])), **facts)


def places(store: FailureSet, most: int | None = None) -> list[int]:
    return store.read(most)["place"].to_list()


@pytest.fixture
def store(tmp_path) -> FailureSet:
    return FailureSet(tmp_path / "failures", Sighting)


# The store


@pytest.mark.slow
@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=4))
def test_every_row_is_kept_once_in_the_order_of_being_added(tmp_path_factory, additions):
    store = FailureSet(tmp_path_factory.mktemp("failures"), Sighting)
    new = [store.add(failed(*each)) for each in additions]
    together = list(dict.fromkeys(place for each in additions for place in each))
    assert places(store) == together
    assert sum(new) == len(together)


def test_a_row_stays_as_it_was_first_added(store):
    store.add(failed(7, model="1", loss=3.0))
    assert store.add(failed(7, model="2", loss=9.0)) == 0
    assert store.read().select("penumbra.batch", "penumbra.model", "penumbra.loss").rows() == [("2013-04", "1", 3.0)]


def test_files_of_the_first_release_are_read(store):
    store.add(failed(7))
    (path,) = store.folder.glob("*.parquet")
    pl.read_parquet(path).rename(lambda name: name.removeprefix("penumbra.")).write_parquet(path)
    get_seal_path(path).unlink()
    assert store.add(failed(7, 8)) == 1
    assert (places(store), store.read()["penumbra.loss"].to_list()) == ([7, 8], [3.0, 3.0])


def test_the_last_ones_are_read_where_there_are_too_many(store):
    store.add(failed(1, 2, 3))
    store.add(failed(4))
    assert places(store, most=2) == [3, 4]


def test_nothing_kept_has_the_columns_of_something_kept(store):
    empty = store.read()
    store.add(failed(1))
    assert (len(empty), empty.schema) == (0, store.read().schema)


def test_it_is_known_when_a_row_was_added(store):
    store.add(failed(1))
    store.add(failed(2))
    first, second = store.read()["penumbra.when"]
    assert first < second


def test_a_row_that_the_contract_no_longer_knows_is_left_out(store):
    store.add(failed(1))
    narrower = pl.Enum(["crow"])
    row = SimpleNamespace(
        primary_key=Sighting.primary_key,
        columns=lambda: Sighting.columns() | {"species": SimpleNamespace(dtype=narrower)},
    )
    assert len(FailureSet(store.folder, row).read()) == 0


def test_without_a_key_nothing_is_kept(tmp_path):
    store = FailureSet(tmp_path, SimpleNamespace(primary_key=list, columns=dict))
    assert (store.add(failed(1)), len(store.read()), list(tmp_path.iterdir())) == (0, 0, [])


# The choice


def test_the_worst_rows_are_chosen_the_worst_first():
    rows = pl.DataFrame({"place": range(1000), "penumbra.loss": np.arange(1000) % 500})
    assert select_worst_failures(rows, share=0.004)["place"].to_list() == [499, 999, 498, 998]
    assert select_worst_failures(rows, share=0.004, most=1)["place"].to_list() == [499]
    assert len(select_worst_failures(rows.head(200))) == 0


def test_a_bad_day_does_not_fill_the_choice():
    rows = pl.DataFrame({"penumbra.day": np.repeat(range(10), 100), "penumbra.loss": np.repeat([9.0] + [1.0] * 9, 100)})
    settings = select_worst_failures(rows, share=0.01)
    assert len(settings) == 10
    assert settings["penumbra.day"].value_counts()["count"].max() == 2


def test_rows_are_found_among_the_kept_ones_in_their_own_order():
    rows = pl.DataFrame({"place": [3, 1, 2, 1], "grams": [1.0, 2.0, 3.0, 4.0]})
    kept = pl.DataFrame({"place": [1, 1, 9]})
    assert mask_matching_rows(rows, kept, ["place"]).tolist() == [False, True, False, True]
    assert mask_matching_rows(rows, kept.clear(), ["place"]).tolist() == [False] * 4
