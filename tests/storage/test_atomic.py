"""Files and folders that are written aside and renamed."""

import re
from pathlib import Path

import polars as pl
import pytest

from penumbra.core.settings import PROJECT_ROOT
from penumbra.storage.atomic import create_file, fill_folder_aside, replace_file, write_aside

ROOMS = ("penumbra", "service", "monitoring", "flows", "problem", "benchmarks")
# Folders are moved whole where batches are staged, and where another problem's are set aside.
MOVES = {
    "penumbra/storage/atomic.py",
    "penumbra/data/staging.py",
    "penumbra/cli/fresh_start.py",
    "flows/steps/train/experiment_run.py",
}


def list_names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["new é", b"new"])
def test_a_file_is_replaced_and_nothing_is_left_aside(tmp_path, content):
    (tmp_path / "file").write_text("an older and longer text")
    replace_file(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list_names(tmp_path) == ["file"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    (tmp_path / "file").write_text("old")
    with write_aside(tmp_path / "file") as aside:
        aside.write_text("new")
        assert (tmp_path / "file").read_text() == "old"
    assert (tmp_path / "file").read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_nothing_aside(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), write_aside(tmp_path / "file") as aside:
        aside.write_text("half") // 0
    assert (list_names(tmp_path), (tmp_path / "file").read_text()) == (["file"], "old")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
@pytest.mark.parametrize(
    "write", [lambda full: full.write_bytes(b"x"), pl.DataFrame({"x": range(9)}).write_ipc], ids=["python", "polars"]
)
@pytest.mark.parametrize("place", [write_aside, fill_folder_aside])
def test_a_disk_that_is_full_is_told_of_with_the_file(tmp_path, write, place):
    said = r"^\[Errno 28\] No space left on device: '.*/orders\.csv'$"
    with pytest.raises(OSError, match=said), place(tmp_path / "orders.csv"):
        write(Path("/dev/full"))
    assert list_names(tmp_path) == []


def test_other_errors_of_a_block_stay_what_they_are(tmp_path):
    with pytest.raises(ConnectionError, match=r"^the store is gone$"), write_aside(tmp_path / "file"):
        raise ConnectionError("the store is gone")


def test_of_two_that_create_a_file_the_first_one_does_and_nothing_is_left_aside(tmp_path):
    assert create_file(tmp_path / "file", b"first")
    assert not create_file(tmp_path / "file", b"second")
    assert (list_names(tmp_path), (tmp_path / "file").read_bytes()) == (["file"], b"first")


def test_two_threads_that_write_one_file_aside_do_not_share_a_path(tmp_path):
    with write_aside(tmp_path / "file") as first, write_aside(tmp_path / "file") as second:
        first.write_text("first")
        second.write_text("second")
    assert (list_names(tmp_path), (tmp_path / "file").read_text()) == (["file"], "first")


def test_a_folder_appears_whole_and_its_scratch_files_vanish(tmp_path):
    with fill_folder_aside(tmp_path / "parent" / "folder") as aside:
        aside.mkdir()
        (aside / "file").touch()
        aside.with_name("scratch").touch()
        assert not (tmp_path / "parent" / "folder").exists()
    assert (list_names(tmp_path / "parent"), list_names(tmp_path / "parent" / "folder")) == (["folder"], ["file"])


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), fill_folder_aside(tmp_path / "folder") as aside:
        aside.write_text("half") // 0
    assert list_names(tmp_path) == []


@pytest.mark.slow
def test_no_other_module_renames_files_or_locks_them():
    renames, locks = re.compile(r"\bos\.(replace|rename)\("), re.compile(r"^import fcntl|\bfcntl\.", re.MULTILINE)
    code = {
        path.relative_to(PROJECT_ROOT).as_posix(): path.read_text()
        for room in ROOMS
        for path in (PROJECT_ROOT / room).rglob("*.py")
    }
    assert {path for path, text in code.items() if renames.search(text)} == MOVES
    assert {path for path, text in code.items() if locks.search(text)} == {"penumbra/storage/locks.py"}
