"""The cache of checksums: what it keeps of its own and of others, and what it reads again."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from penumbra.data.versioning import checksums
from penumbra.data.versioning.checksums import ChecksumCache, read_file_stat
from penumbra.data.versioning.dvc_listing import list_files

CLOCK_SECONDS = 0.02  # after which a file system's clock has moved
WRONG = "0" * 32  # no file's md5: where it is returned, the file wasn't read


def make_file(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    return str(folder / name)


def note(cache: ChecksumCache, path: str) -> None:
    cache.note(path, read_file_stat(path), WRONG)
    cache.save()


def test_what_several_processes_have_noted_is_kept(tmp_path: Path) -> None:
    first, second = (ChecksumCache(tmp_path / "md5.json") for _ in range(2))
    paths = [make_file(tmp_path, name) for name in "abc"]
    for cache, path in zip((first, second, first), paths, strict=True):
        note(cache, path)
    assert ChecksumCache(tmp_path / "md5.json").look_up(paths) == [WRONG] * 3


def test_what_one_process_notes_again_and_again_is_kept(tmp_path: Path) -> None:
    cache, paths = ChecksumCache(tmp_path / "md5.json"), [make_file(tmp_path, name) for name in "abc"]
    for path in paths:
        note(cache, path)
    assert ChecksumCache(tmp_path / "md5.json").look_up(paths) == [WRONG] * 3


def test_what_was_forgotten_is_read_again_also_where_other_files_were_noted_since(tmp_path: Path) -> None:
    old, new = make_file(tmp_path, "a"), make_file(tmp_path, "b")
    note(ChecksumCache(tmp_path / "md5.json"), old)
    cache = ChecksumCache(tmp_path / "md5.json")
    cache.forget()
    note(cache, new)
    assert cache.look_up([old, new]) == [hashlib.md5(b"a").hexdigest(), WRONG]


def test_a_deleted_index_is_written_anew(tmp_path: Path) -> None:
    cache, paths = ChecksumCache(tmp_path / "md5.json"), [make_file(tmp_path, name) for name in "ab"]
    note(cache, paths[0])
    cache.index.unlink()
    note(cache, paths[1])
    assert ChecksumCache(tmp_path / "md5.json").look_up(paths[1:]) == [WRONG]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file, which counts as settled at once; its next change has another time."""
    monkeypatch.setattr(checksums, "SETTLED_NS", 0)
    (tmp_path / "batch").mkdir()
    make_file(tmp_path / "batch", "a")
    time.sleep(CLOCK_SECONDS)
    return tmp_path / "batch"


def list_names(folder: Path, cache: ChecksumCache) -> list[str]:
    found = list_files(folder, cache)
    cache.save()
    time.sleep(CLOCK_SECONDS)
    assert sorted(found) == sorted(list_files(folder))
    return sorted(Path(path).name for path in found)


def test_a_folder_to_which_nothing_was_added_is_not_listed_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_names(folder, ChecksumCache(tmp_path / "md5.json"))
    monkeypatch.setattr(os, "scandir", None)
    assert list_files(folder, ChecksumCache(tmp_path / "md5.json")) == [str(folder / "a")]


def test_each_change_of_what_a_folder_has_is_noticed_whatever_its_time_is_set_to(folder: Path, tmp_path: Path) -> None:
    cache = ChecksumCache(tmp_path / "md5.json")
    before = folder.stat()
    assert list_names(folder, cache) == ["a"]
    make_file(folder, "b")
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert list_names(folder, cache) == ["a", "b"]
    (folder / "a").rename(folder / "c")
    assert list_names(folder, cache) == ["b", "c"]
    (folder / "b").unlink()
    assert list_names(folder, cache) == ["c"]
    folder.rename(tmp_path / "old")
    folder.mkdir()
    make_file(folder, "d")
    assert list_names(folder, cache) == ["d"]


def test_a_folder_with_folders_or_links_is_listed_each_time(folder: Path, tmp_path: Path) -> None:
    cache, elsewhere = ChecksumCache(tmp_path / "md5.json"), tmp_path / "elsewhere"
    (folder / "link").symlink_to(elsewhere)
    (folder / "within").mkdir()
    assert list_names(folder, cache) == ["a", "link"]
    make_file(folder / "within", "b")
    elsewhere.mkdir()
    assert list_names(folder, cache) == ["a", "b"]


def test_a_folder_that_has_changed_lately_is_listed_again(tmp_path: Path) -> None:
    cache = ChecksumCache(tmp_path / "md5.json")
    (tmp_path / "batch").mkdir()
    for name in "abc":
        made = make_file(tmp_path / "batch", name)
        assert made in list_files(tmp_path / "batch", cache)
