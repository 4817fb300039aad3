"""The doctor's look at files that are made again: every folder of them is known."""

from pathlib import Path

import pytest

from benchmarks.faults.corruption.small_state import make_state_settings
from flows.steps.doctor import stored_files
from penumbra.storage.sealed import replace_sealed_file


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
