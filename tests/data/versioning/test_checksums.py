"""The cache of checksums: what it keeps of its own and of others, and what it reads again."""

import hashlib
from pathlib import Path

from penumbra.data.versioning.checksums import ChecksumCache, read_file_stat

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
    assert [ChecksumCache(tmp_path / "md5.json").md5(path) for path in paths] == [WRONG] * 3


def test_what_one_process_notes_again_and_again_is_kept(tmp_path: Path) -> None:
    cache, paths = ChecksumCache(tmp_path / "md5.json"), [make_file(tmp_path, name) for name in "abc"]
    for path in paths:
        note(cache, path)
    assert [ChecksumCache(tmp_path / "md5.json").md5(path) for path in paths] == [WRONG] * 3


def test_what_was_forgotten_is_read_again_also_where_other_files_were_noted_since(tmp_path: Path) -> None:
    old, new = make_file(tmp_path, "a"), make_file(tmp_path, "b")
    note(ChecksumCache(tmp_path / "md5.json"), old)
    cache = ChecksumCache(tmp_path / "md5.json")
    cache.forget()
    note(cache, new)
    assert cache.md5(old) == hashlib.md5(b"a").hexdigest()
    assert cache.md5(new) == WRONG


def test_a_deleted_index_is_written_anew(tmp_path: Path) -> None:
    cache, paths = ChecksumCache(tmp_path / "md5.json"), [make_file(tmp_path, name) for name in "ab"]
    note(cache, paths[0])
    cache.index.unlink()
    note(cache, paths[1])
    assert ChecksumCache(tmp_path / "md5.json").md5(paths[1]) == WRONG
