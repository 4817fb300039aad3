import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.storage.shared.mirror import Mirror
from penumbra.storage.shared.object_store import ObjectStore
from tests.helpers.servers.object_stores import MotoServer, SeaweedServer, make_bucket


def write(folder: Path, **contents: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(content)


def read_all(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def make_mirrors(tmp_path: Path, url: str = "", last: Sequence[str] = ()) -> tuple[Mirror, Mirror]:
    """Those of two machines."""
    url = url or str(tmp_path / "shared")
    return Mirror(tmp_path / "one" / "run", url, last), Mirror(tmp_path / "two" / "run", url, last)


def test_what_one_machine_pushes_another_fetches(tmp_path: Path) -> None:
    here, there = make_mirrors(tmp_path)
    write(here.folder, a="1", b="2")
    write(here.folder / "inner", c="3")
    assert here.push() == ["a", "b", "inner/c"]
    assert there.fetch() == ["a", "b", "inner/c"]
    assert read_all(there.folder) == {"a": "1", "b": "2", "inner/c": "3"}
    assert here.push() == there.push() == here.fetch() == there.fetch() == []


def test_what_another_machine_is_still_writing_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = make_mirrors(tmp_path)
    write(here.folder, a="1")
    seen = []

    def copy_and_look(source: Path, aside: Path) -> None:
        aside.write_text("half")
        seen.append((aside.exists(), there.store.list_versions()))

    monkeypatch.setattr("shutil.copyfile", copy_and_look)
    here.push()
    assert seen == [(True, {})]


def test_only_what_has_changed_is_moved(tmp_path: Path) -> None:
    here, there = make_mirrors(tmp_path)
    write(here.folder, a="1", b="2")
    here.push()
    there.fetch()
    write(here.folder, b="changed", c="3")
    assert here.push() == ["b", "c"]
    assert there.fetch() == ["b", "c"]
    assert read_all(there.folder) == read_all(here.folder)


def test_what_changed_elsewhere_is_not_pushed_over(tmp_path: Path) -> None:
    here, there = make_mirrors(tmp_path)
    write(here.folder, a="1")
    here.push()
    there.fetch()
    write(there.folder, a="newer")
    there.push()
    assert here.push() == []
    assert here.fetch() == ["a"]
    assert read_all(here.folder) == {"a": "newer"}


def test_what_changed_here_and_is_not_pushed_yet_is_kept_by_fetching(tmp_path: Path) -> None:
    here, there = make_mirrors(tmp_path)
    write(here.folder, a="1")
    here.push()
    there.fetch()
    write(there.folder, a="there")
    there.push()
    write(here.folder, a="mine!")
    assert here.fetch() == []
    assert read_all(here.folder) == {"a": "mine!"}


@pytest.fixture(params=["folder", "bucket"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "shared") if request.param == "folder" else f"{request.getfixturevalue('bucket')}/run"


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [True, False])
def test_what_another_machine_wrote_while_this_one_was_halted_before_its_push_stays(
    tmp_path: Path, shared_url: str, caplog: pytest.LogCaptureFixture, is_new: bool
) -> None:
    here, there = make_mirrors(tmp_path, shared_url)
    write(here.folder, **({} if is_new else {"a": "before"}), b="1")
    here.push()
    there.fetch()
    write(here.folder, a="of the halted one", c="3")
    write(there.folder, a="newer")
    there.push()
    assert here.push() == ["c"]
    assert "what another machine wrote stays: a" in caplog.text
    assert here.store.read("a") == b"newer"


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [True, False])
def test_what_another_machine_wrote_while_this_one_was_halted_within_its_push_stays(
    tmp_path: Path, shared_url: str, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    here, there = make_mirrors(tmp_path, shared_url)
    write(here.folder, **({} if is_new else {"a": "before"}), b="1")
    here.push()
    there.fetch()
    write(here.folder, a="of the halted one")
    write(there.folder, a="newer")
    upload = ObjectStore.upload

    def upload_late(store: ObjectStore, *arguments: object) -> object:
        monkeypatch.setattr(ObjectStore, "upload", upload)
        there.push()
        return upload(store, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ObjectStore, "upload", upload_late)
    assert here.push() == []
    assert here.store.read("a") == b"newer"


def test_what_another_machine_wrote_alike_counts_as_pushed(tmp_path: Path, shared_url: str) -> None:
    here, there = make_mirrors(tmp_path, shared_url)
    write(here.folder, a="same")
    write(there.folder, a="same")
    assert here.push() == there.push() == ["a"]
    assert here.push() == there.push() == there.fetch() == []


def test_a_part_of_the_folder_can_be_fetched(tmp_path: Path) -> None:
    here, there = make_mirrors(tmp_path)
    write(here.folder / "inner", a="1")
    write(here.folder / "innermost", a="2")
    write(here.folder, b="3")
    here.push()
    assert there.fetch("inner") == ["inner/a"]
    assert there.fetch("b") == ["b"]
    assert there.fetch("nothing") == []


def test_what_is_missing_here_is_fetched_again(tmp_path: Path) -> None:
    here, _ = make_mirrors(tmp_path)
    write(here.folder, a="1")
    here.push()
    (here.folder / "a").unlink()
    assert here.fetch() == ["a"]
    assert read_all(here.folder) == {"a": "1"}


def test_what_is_missing_behind_the_url_is_pushed_again(tmp_path: Path) -> None:
    here, _ = make_mirrors(tmp_path)
    write(here.folder, a="1")
    here.push()
    here.store.delete(["a"])
    assert here.push() == ["a"]


def test_what_is_written_aside_and_locks_stay_here(tmp_path: Path) -> None:
    here, there = make_mirrors(tmp_path)
    write(here.folder / ".run-x1", a="half")
    write(here.folder, **{".a-7.tmp": "half", "train.lock": "", "b": "whole"})
    assert here.push() == ["b"]
    assert there.fetch() == ["b"]


def test_files_that_make_others_count_are_pushed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = make_mirrors(tmp_path, last=["*.json"])
    write(here.folder, **{"done.json": "", "rows.npy": "", "a.json": "", "z.npy": ""})
    order: list[str] = []
    upload = ObjectStore.upload
    monkeypatch.setattr(
        ObjectStore,
        "upload",
        lambda store, path, name, before: (order.append(name), upload(store, path, name, before))[1],
    )
    here.push()
    assert sorted(order[:2]) == ["rows.npy", "z.npy"]


def test_files_that_make_others_count_are_fetched_last_and_not_at_all_where_others_are_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = make_mirrors(tmp_path, last=["done.json"])
    write(here.folder, **{"done.json": "{}"})
    for name in "xy":
        write(here.folder / name, zz="large")
    here.push()
    shared, download = tmp_path / "shared", ObjectStore.download

    def remove_others(store: ObjectStore, name: str, path: Path) -> None:
        for other in ("done.json", "x/zz", "y/zz"):
            (shared / other).unlink(missing_ok=True)
        download(store, name, path)

    monkeypatch.setattr(ObjectStore, "download", remove_others)
    assert there.fetch() == []
    assert read_all(there.folder) == {}


def test_another_store_behind_the_folder_gets_everything(tmp_path: Path) -> None:
    here, _ = make_mirrors(tmp_path)
    write(here.folder, a="1")
    here.push()
    assert Mirror(here.folder, str(tmp_path / "elsewhere")).push() == ["a"]


def test_an_emptied_store_of_the_same_url_gets_everything(tmp_path: Path) -> None:
    here, _ = make_mirrors(tmp_path)
    write(here.folder, a="1")
    here.push()
    os.rename(tmp_path / "shared", tmp_path / "gone")
    assert here.push() == ["a"]


@pytest.mark.slow
def test_what_was_killed_half_way_is_completed_on_a_real_server(
    tmp_path: Path, seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = make_bucket(seaweed, monkeypatch)
    for transfer in ("upload", "download"):
        check_that_what_was_killed_is_completed(tmp_path / transfer, monkeypatch, transfer, f"{address}/{transfer}")


@pytest.mark.parametrize("transfer", ["upload", "download"])
def test_what_was_killed_half_way_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transfer: str) -> None:
    check_that_what_was_killed_is_completed(tmp_path, monkeypatch, transfer, "")


def check_that_what_was_killed_is_completed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, transfer: str, url: str
) -> None:
    here, there = make_mirrors(folder, url)
    write(here.folder, **{f"f{number}": str(number) for number in range(20)})
    if transfer == "download":
        here.push()
    move, left = getattr(ObjectStore, transfer), list(range(7))

    def fail_later(store: ObjectStore, *arguments: object) -> object:
        if not left:
            raise OSError("the machine goes down")
        left.pop()
        return move(store, *arguments)

    with monkeypatch.context() as failing:
        failing.setattr(ObjectStore, transfer, fail_later)
        with pytest.raises(OSError, match="goes down"):
            (here.push if transfer == "upload" else there.fetch)()
    assert len(here.push() if transfer == "upload" else there.fetch()) == 13
    there.fetch()
    assert read_all(there.folder) == read_all(here.folder)


@pytest.mark.slow
def test_nothing_changed_costs_one_listing_on_s3(tmp_path: Path, moto: MotoServer, bucket: str) -> None:
    here, there = make_mirrors(tmp_path, f"{bucket}/run")
    write(here.folder, **{f"f{number}": str(number) for number in range(20)})
    assert len(here.push()) == len(there.fetch()) == 20
    begin = len(moto.requests)
    assert here.push() == there.fetch() == []
    assert moto.requests[begin:] == [f"GET /{bucket.removeprefix('s3://')}"] * 2


@pytest.mark.slow
@given(steps=st.lists(st.tuples(st.sampled_from("ht"), st.sampled_from("abc"), st.text("xy", max_size=4)), max_size=6))
def test_both_machines_have_the_latest_of_each_file_once_each_has_fetched_before_it_wrote(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]]
) -> None:
    here, there = make_mirrors(tmp_path_factory.mktemp("mirrors"))
    expected: dict[str, str] = {}
    for machine, name, content in steps:
        mirror = here if machine == "h" else there
        mirror.fetch()
        write(mirror.folder, **{name: content})
        mirror.push()
        expected[name] = content
    for mirror in (here, there):
        mirror.fetch()
        assert (read_all(mirror.folder) if mirror.folder.exists() else {}) == expected


def test_of_one_folder_alone_is_pushed_what_changed_there(tmp_path):
    for name in ("a/1", "b/2"):
        (tmp_path / "here" / name).parent.mkdir(parents=True)
        (tmp_path / "here" / name).write_text(name)
    mirror = Mirror(tmp_path / "here", str(tmp_path / "there"))
    assert mirror.push(prefix="a") == ["a/1"]
    assert mirror.push() == ["b/2"]


def test_a_file_that_was_removed_since_it_was_listed_is_left_out(tmp_path, monkeypatch, caplog):
    (folder := tmp_path / "here").mkdir()
    (folder / "kept").write_text("kept")
    mirror = Mirror(folder, str(tmp_path / "there"))
    monkeypatch.setattr(mirror, "_list_files", lambda _: [(name, folder / name) for name in ("gone", "kept")])
    assert mirror.push() == ["kept"]
    assert caplog.text == ""


def test_a_folder_that_is_removed_while_others_are_listed_is_left_out(tmp_path, monkeypatch):
    here, _ = make_mirrors(tmp_path)
    for name in ("one", "two"):
        write(here.folder / name, file=name)

    def remove_the_other(path: Path, original=Path.is_file) -> bool:
        other = {"one": "two", "two": "one"}[path.parent.name]
        shutil.rmtree(here.folder / other, ignore_errors=True)
        return original(path)

    monkeypatch.setattr(Path, "is_file", remove_the_other)
    (pushed,) = here.push()
    assert pushed in ("one/file", "two/file")
