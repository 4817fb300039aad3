"""The doctor's look at files that are made again: every folder of them is known."""

from pathlib import Path

import pytest

from benchmarks.faults.corruption.small_state import make_state_settings
from flows.steps.doctor import stored_files
from penumbra.storage.sealed import replace_sealed_file
from tests.helpers.logs import prediction_logs


@pytest.mark.parametrize("name", ["settled/7/2024-01-01.msgpack", "scored/7.msgpack"])
def test_a_damaged_file_of_counts_is_named_and_removed(tmp_path: Path, name: str) -> None:
    settings = make_state_settings(tmp_path)
    path = settings.monitor.folder / name
    path.parent.mkdir(parents=True)
    replace_sealed_file(path, b"counts")
    assert list(stored_files._remove_damaged(settings)) == []
    path.chmod(0o644)
    path.write_bytes(b"counts?")
    (said,) = stored_files._remove_damaged(settings)
    assert said.startswith(f"{path} is not what was written")
    assert not path.exists()


@pytest.mark.slow
def test_an_index_that_has_taken_a_busy_day_in_by_parts_is_what_the_logs_say(tmp_path: Path) -> None:
    answers = [prediction_logs.make_prediction(flight) for flight in range(10_000)]
    index, copy = (prediction_logs.make_index(tmp_path) for _ in range(2))
    for part in (answers[:9_000], answers[9_000:]):
        prediction_logs.log_predictions(tmp_path, *part)
        index.catch_up()
    copy.path = tmp_path / "copy.db"
    copy.catch_up()
    assert stored_files._find_index_differences(index, copy) == []
    with index.open() as db:
        db.execute("DELETE FROM drawn")
    assert stored_files._find_index_differences(index, copy) == ["drawn", "limits"]
