"""Which files of a folder a data version has."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.data.versioning.checksums import ChecksumCache
from penumbra.data.versioning.dvc_listing import (
    FileListing,
    build_listing,
    compute_growing_md5s,
    compute_listing_md5,
    decode_listing,
    encode_listing,
    list_files,
)

NOBODY = 65534


def compute_md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@contextmanager
def close(folder: Path) -> Iterator[None]:
    """Nobody can read the folder meanwhile, not even root, who is another user then."""
    user = os.geteuid()
    folder.chmod(0)
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


def test_a_folder_that_cannot_be_read_has_no_files_and_hides_none_beside_it() -> None:
    with tempfile.TemporaryDirectory() as place:  # other users can't enter pytest's own
        folder, closed = Path(place), Path(place, "lost+found")
        folder.chmod(0o755)
        (closed / "within").mkdir(parents=True)
        (folder / "link").symlink_to(closed / "within")
        for name in ("a.csv", "z.csv"):
            (folder / name).touch()
        with close(closed):
            found = list_files(folder)
        assert sorted(found) == [f"{place}/{name}" for name in ("a.csv", "link", "z.csv")]


def test_a_file_in_place_of_a_folder_has_no_files(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert list_files(tmp_path / "data") == []


def test_a_file_whose_name_is_not_utf_8_is_named(tmp_path: Path) -> None:
    for name in (b"a.csv", b"caf\xe9.csv"):
        Path(tmp_path, os.fsdecode(name)).touch()
    with pytest.raises(OSError, match=r"name isn't UTF-8: rename it.*caf\\udce9\.csv"):
        build_listing(tmp_path, list_files(tmp_path), ChecksumCache(tmp_path / "md5.json"))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=4).map(compute_md5)))
def test_a_listing_is_the_bytes_that_dvc_writes_and_comes_back_of_them(listing: FileListing) -> None:
    entries = [{"md5": md5, "relpath": name} for name, md5 in sorted(listing.items())]
    assert encode_listing(listing) == json.dumps(entries).encode()
    assert decode_listing(encode_listing(listing)) == listing


@pytest.mark.parametrize("folders", [["a", "b", "c"], ["a", "a-b", "b"], ["c", "a", "b"], ["a", "empty", "b"]])
def test_a_folder_that_grows_has_the_md5_of_what_is_there_each_time(folders):
    parts = [{} if name == "empty" else {f"{name}/2": "2" * 32, f"{name}/10": "1" * 32} for name in folders]
    there = [{name: md5 for part in parts[: count + 1] for name, md5 in part.items()} for count in range(3)]
    assert list(compute_growing_md5s(parts)) == list(map(compute_listing_md5, there))
