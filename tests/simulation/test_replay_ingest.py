"""What a replay ingests before it trains again, and what it tells where it can't."""

from pathlib import Path

import pytest

from flows.steps.ingest import ingestion
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore
from penumbra.logs import append_log
from penumbra.simulation.replay.day_loop import ingest_arrived_batches
from tests.helpers.problems.orders import load_orders
from tests.helpers.problems.recorded_orders import record_january

EMPTY_FEBRUARY = [("for day in days:", "for day in (day for day in days if day.month != 2):")]
BROKEN_FEBRUARY = [('fromisoformat(f"{batch}-01")', 'fromisoformat(f"{batch}-01" if batch == "2024-01" else "soon")')]


@pytest.mark.slow
@pytest.mark.parametrize(("today", "batches"), [("2024-03-01", ["2024-01"]), ("2024-04-01", ["2024-01", "2024-03"])])
def test_a_batch_without_rows_is_left_out_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, today: str, batches: list[str]
) -> None:
    store = record_january(tmp_path, monkeypatch, source=EMPTY_FEBRUARY)
    monkeypatch.setenv("PENUMBRA_DATA__TODAY", today)
    assert ingest_arrived_batches()
    assert store.batches() == batches
    assert append_log.read_segment_sizes(load_settings().labels.folder)
    assert ingestion.attach_batch_labels(store) == "0 labels are new"
    assert ingest_arrived_batches()


def test_a_batch_that_cannot_be_fetched_is_told_and_the_days_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record_january(tmp_path, monkeypatch, source=BROKEN_FEBRUARY)
    monkeypatch.setenv("PENUMBRA_DATA__TODAY", "2024-03-01")
    capsys.readouterr()
    assert not ingest_arrived_batches()
    assert capsys.readouterr().out.startswith("the ingest failed: batch 2024-02 refused: fetch() of ")


def test_data_of_another_problem_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record_january(tmp_path, monkeypatch)
    (tmp_path / "other").mkdir()
    other = load_orders(tmp_path / "other", source=[('f"2024-{month:02}"', 'f"1999-{month:02}"')])
    monkeypatch.setattr(ingestion, "open_data_store", lambda: DataStore(load_settings().data, other))
    capsys.readouterr()
    assert not ingest_arrived_batches()
    assert "of another problem than problem/" in capsys.readouterr().out
