"""What `penumbra train` does in place of an ingest where no batch has arrived since the last one."""

import shutil
from pathlib import Path

import pytest

from flows.steps.ingest import ingestion
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore
from penumbra.logs.queries.lookup import INDEX_FILE
from tests.helpers.problems.recorded_orders import record_january


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataStore:
    """The store of a project with the orders of January, recorded and with their labels."""
    store = record_january(tmp_path, monkeypatch)
    assert ingestion.attach_batch_labels(store) == f"{store.rows('2024-01').height:,} labels are new"
    return store


def test_where_nothing_has_arrived_it_says_what_the_flow_would_say(
    store: DataStore, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert ingestion.settle_ingest()
    said = capsys.readouterr().out
    assert "1 batch, 2024-01 to 2024-01" in said
    assert said.endswith("0 labels are new\n")


def test_a_batch_that_has_arrived_is_left_to_the_flow(store: DataStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_DATA__TODAY", "2024-03-01")
    assert not ingestion.settle_ingest()


def test_a_file_that_has_changed_is_left_to_the_flow(store: DataStore) -> None:
    (store.raw / "2024-01" / "orders.csv").write_text("changed")
    assert not ingestion.settle_ingest()


def test_what_is_wrong_is_left_to_the_flow_which_says_it(store: DataStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_DATA__TODAY", "tomorrow")
    assert not ingestion.settle_ingest()


def test_batches_whose_labels_are_there_are_not_read_again(store: DataStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DataStore, "iterate_rows", lambda *_: pytest.fail("a batch was read"))
    assert ingestion.attach_batch_labels(store) == "0 labels are new"


def test_labels_that_the_log_has_lost_are_logged_again(store: DataStore) -> None:
    shutil.rmtree(load_settings().labels.folder)
    rows = store.rows("2024-01").height
    assert ingestion.attach_batch_labels(store) == f"{rows:,} labels are new"


@pytest.mark.slow
def test_a_label_whose_line_is_damaged_is_logged_again_once_the_index_has_lost_it(store: DataStore) -> None:
    (segment,) = load_settings().labels.folder.glob("*.jsonl")
    line = segment.read_bytes().splitlines(keepends=True)[0]
    segment.write_bytes(segment.read_bytes().replace(line, line.replace(b"{", b"[", 1)))
    (load_settings().labels.folder / INDEX_FILE).unlink()
    assert ingestion.attach_batch_labels(store) == "1 label is new"
    assert ingestion.attach_batch_labels(store) == "0 labels are new"
