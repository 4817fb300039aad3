import os
import signal
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.storage import sealed
from penumbra.storage.sealed import DamagedFile


@given(st.binary(max_size=200), st.data())
def test_whichever_byte_changes_of_content_or_seal_it_is_found(tmp_path_factory, content, data):
    path = tmp_path_factory.mktemp("sealed") / "file"
    sealed.replace_sealed_file(path, content)
    changed = data.draw(
        st.sampled_from([path, sealed.get_seal_path(path)] if content else [sealed.get_seal_path(path)])
    )
    whole = bytearray(changed.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    changed.write_bytes(whole)
    with pytest.raises(DamagedFile, match="file is not what was written"):
        sealed.read_sealed_file(path)
    with pytest.raises(DamagedFile):
        sealed.check_sealed_file(path)
    assert sealed.find_damaged_files(path.parent) == [path]


def test_a_file_that_was_replaced_reads_as_the_new_one(tmp_path):
    for content in ("old", "new"):
        sealed.replace_sealed_file(tmp_path / "file", content)
    assert sealed.read_sealed_file(tmp_path / "file") == b"new"


def test_the_seal_is_one_that_other_tools_check(tmp_path):
    sealed.replace_sealed_file(tmp_path / "a file", "content")
    subprocess.run(["sha256sum", "-c", "--status", "a file.sha256"], cwd=tmp_path, check=True)


def test_a_file_without_a_seal_is_taken_as_it_is(tmp_path):
    (tmp_path / "file").write_text("by hand")
    assert sealed.read_sealed_file(tmp_path / "file") == b"by hand"


def test_what_can_be_made_again_is_said_to_be_and_read_as_nothing(tmp_path, caplog):
    sealed.replace_sealed_file(tmp_path / "file", "content")
    (tmp_path / "file").write_text("CONTENT")
    assert sealed.read_derived_file(tmp_path / "file") is None
    assert "file is not what was written" in caplog.text
    assert "made again" in caplog.text


@pytest.mark.slow
def test_a_process_killed_at_any_time_leaves_the_old_file_or_the_new_one(tmp_path):
    sealed.replace_sealed_file(tmp_path / "file", "0")
    for delay in (0.0, 0.001, 0.002, 0.005):
        child = os.fork()
        if child == 0:
            for number in range(100_000):
                sealed.replace_sealed_file(tmp_path / "file", str(number))
        time.sleep(0.01 + delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert sealed.read_sealed_file(tmp_path / "file").isdigit()


@pytest.mark.slow
def test_several_writers_leave_a_file_that_is_whole(tmp_path):
    children = [os.fork() for _ in range(1)]
    for number in range(60):
        sealed.replace_sealed_file(tmp_path / "file", f"{children} {number}")
    if children == [0]:
        os._exit(0)
    os.waitpid(children[0], 0)
    assert sealed.is_sealed_file_whole(tmp_path / "file")
