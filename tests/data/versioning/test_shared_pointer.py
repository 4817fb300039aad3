"""The data pointer that machines share: the latest of numbered objects, which one ingest of several creates."""

from pathlib import Path

import pytest

from penumbra.data.versioning.shared_pointer import PointerMoved, SharedPointer


def make_pointer(tmp_path: Path, machine: str, content: str = "", url: str = "") -> SharedPointer:
    pointer = SharedPointer(tmp_path / machine / "data.dvc", url or str(tmp_path / "shared"))
    if content:
        pointer.file.parent.mkdir(exist_ok=True)
        pointer.file.write_text(content)
    return pointer


def test_what_one_machine_has_recorded_another_finds_on_s3(tmp_path: Path, bucket: str) -> None:
    make_pointer(tmp_path, "one", "first", f"{bucket}/data-version").publish(b"")
    there = make_pointer(tmp_path, "two", url=f"{bucket}/data-version")
    there.fetch()
    assert there.read() == b"first"


def test_where_nothing_was_recorded_the_pointer_file_of_the_image_stands(tmp_path: Path) -> None:
    pointer = make_pointer(tmp_path, "one", "of the image")
    pointer.fetch()
    assert pointer.read() == b"of the image"
    pointer.publish(b"of the image")
    there = make_pointer(tmp_path, "two")
    there.fetch()
    assert there.read() == b"of the image"


def test_of_two_ingests_that_go_on_from_the_same_version_the_second_says_that_it_was_overtaken(tmp_path: Path) -> None:
    make_pointer(tmp_path, "one", "first").publish(b"")
    make_pointer(tmp_path, "one", "second").publish(b"first")
    with pytest.raises(PointerMoved, match="another ingest has recorded a data version meanwhile"):
        make_pointer(tmp_path, "two", "other second").publish(b"first")
    late = make_pointer(tmp_path, "three")
    late.fetch()
    assert late.read() == b"second"


def test_two_ingests_that_make_the_same_version_both_succeed_and_it_is_recorded_once(tmp_path: Path) -> None:
    make_pointer(tmp_path, "one", "first").publish(b"")
    for machine in ("one", "two", "two"):
        make_pointer(tmp_path, machine, "second").publish(b"first")
    assert make_pointer(tmp_path, "one").sequence.list_numbers() == [1, 2]


def test_whoever_loses_the_race_for_a_number_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pointer(tmp_path, "one", "first").publish(b"")
    slow = make_pointer(tmp_path, "two", "other")
    create = slow.sequence.create

    def create_late(number: int, content: bytes) -> bool:
        make_pointer(tmp_path, "one", "second").publish(b"first")
        return create(number, content)

    monkeypatch.setattr(slow.sequence, "create", create_late)
    with pytest.raises(PointerMoved):
        slow.publish(b"first")
