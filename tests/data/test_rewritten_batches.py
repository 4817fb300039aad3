"""Batches whose files the owner of the source rewrites after they were admitted."""

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from penumbra.data.batches import DataStore
from penumbra.data.rewritten_batches import find_rewritten_batches
from penumbra.data.source_reader import fetch_batch_files
from penumbra.sources import TableFiles
from penumbra.sources.tables import table_runs
from tests.helpers.problems.orders import open_orders_store

MONTHS = ("2024-01", "2024-02")


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    """Two admitted months of a source that reads a file a month, and that was compared once."""
    made = open_orders_store(tmp_path)
    (tmp_path / "orders").mkdir()
    for month in MONTHS:
        get_file(made, month).write_bytes(made.problem.source.fetch(month)["orders.csv"])
    source = TableFiles(tmp_path / "orders", time="at")
    made.problem.loaded["source"] = SimpleNamespace(
        batches=source.batches, fetch=source.fetch, parse=source.parse, CONVERSIONS=()
    )
    admit(made, *MONTHS)
    assert find_rewritten_batches(made) == []
    return made


def admit(store: DataStore, *batches: str) -> None:
    for batch in batches:
        store.stage(batch, fetch_batch_files(store.problem, batch))
    store.admit(batches)


def get_file(store: DataStore, month: str) -> Path:
    return store.settings.folder.with_name("orders") / f"{month}.csv"


def rewrite(store: DataStore, month: str, old: str, new: str) -> None:
    path = get_file(store, month)
    path.write_text(path.read_text().replace(old, new))


def fail(batch: str) -> None:
    raise AssertionError(f"{batch} is fetched")


@pytest.mark.slow
def test_a_rewritten_batch_is_told_each_time_and_what_was_admitted_stays(store):
    before = store.sums("2024-02")
    rewrite(store, "2024-02", "north", "south")
    sentence = (
        "2024-02: the source has changed 2024-02.csv since the batch was admitted, and gives other rows now; what was "
        "admitted stays. `penumbra ingest --again 2024-02` fetches and checks it anew, which makes a new data version"
    )
    assert find_rewritten_batches(store) == find_rewritten_batches(store) == [sentence]
    assert store.sums("2024-02") == before


@pytest.mark.slow
def test_a_rewritten_batch_that_is_fetched_anew_is_no_longer_told(store):
    rewrite(store, "2024-02", "north", "south")
    assert find_rewritten_batches(store, but="2024-02") == []
    admit(store, "2024-02")
    assert find_rewritten_batches(store) == []


@pytest.mark.slow
def test_rows_that_come_late_into_another_file_are_told_with_that_file(store):
    january = get_file(store, "2024-01").read_text().splitlines(keepends=True)
    get_file(store, "late").write_text(january[0] + january[1].replace(january[1].partition(",")[0], "1", 1))
    [sentence] = find_rewritten_batches(store)
    assert sentence.startswith("2024-01: the source has changed late.csv since")


@pytest.mark.slow
@pytest.mark.parametrize("rewrite_rows", [lambda rows: rows.reverse(), lambda rows: rows.select(rows.columns[::-1])])
def test_the_same_rows_in_other_bytes_are_no_other_rows(store, rewrite_rows):
    path = get_file(store, "2024-02")
    rewrite_rows(pl.read_csv(path, infer_schema=False)).write_csv(path, line_terminator="\r\n")
    assert find_rewritten_batches(store) == []


@pytest.mark.slow
def test_a_file_that_can_t_be_read_any_more_is_told(store):
    rewrite(store, "2024-02", ",true\n", ",true,1\n")
    [sentence] = find_rewritten_batches(store)
    assert sentence.startswith("2024-02: the source has changed 2024-02.csv since")


def test_nothing_is_fetched_where_no_file_has_changed(store):
    store.problem.source.fetch = fail
    assert find_rewritten_batches(store) == []


def test_a_batch_that_can_t_be_fetched_is_told_with_the_reason(store):
    rewrite(store, "2024-02", "north", "south")
    store.problem.source.fetch = fail
    [sentence] = find_rewritten_batches(store)
    assert sentence.startswith("2024-02 can't be compared with what was admitted: ")
    assert sentence.endswith("AssertionError: 2024-02 is fetched")


def test_a_source_whose_batches_have_no_fingerprint_isn_t_asked(tmp_path):
    store = open_orders_store(tmp_path)
    admit(store, *MONTHS)
    store.problem.source.fetch = fail
    assert find_rewritten_batches(store) == []


@pytest.mark.slow
def test_what_is_fetched_in_pieces_is_compared_too(store, monkeypatch):
    monkeypatch.setattr(table_runs, "LARGE_BYTES", 100)
    rewrite(store, "2024-01", "\n", "\r\n")
    assert find_rewritten_batches(store) == []
    rewrite(store, "2024-02", "north", "south")
    [sentence] = find_rewritten_batches(store)
    assert sentence.startswith("2024-02: the source has changed 2024-02.csv since")
