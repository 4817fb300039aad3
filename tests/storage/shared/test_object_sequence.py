import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.storage.shared import object_store
from penumbra.storage.shared.object_sequence import ObjectSequence
from penumbra.storage.shared.object_store import ObjectStore
from penumbra.storage.shared.store_failures import StoreError
from tests.helpers.servers.object_stores import MotoServer, make_bucket

WRITERS = 8


@pytest.fixture(params=["folder", "moto", pytest.param("seaweed", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "shared")
    return f"{make_bucket(request.getfixturevalue(request.param), monkeypatch)}/shared"


@pytest.mark.slow
def test_of_eight_writers_of_a_number_one_wins(url: str) -> None:
    begin = threading.Barrier(WRITERS)

    def write(writer: int) -> bool:
        begin.wait()
        return ObjectSequence(url).create(1, b"same content")

    with ThreadPoolExecutor(WRITERS) as threads:
        assert sorted(threads.map(write, range(WRITERS))) == [False] * (WRITERS - 1) + [True]


@pytest.mark.slow
def test_what_exists_is_listed_in_order_and_read_as_it_was_created(url: str) -> None:
    sequence = ObjectSequence(url)
    assert sequence.list_numbers() == []
    assert [sequence.create(number, b"%d" % number) for number in (2, 10, 1)] == [True] * 3
    assert not sequence.create(2, b"another")
    assert sequence.list_numbers() == [1, 2, 10]
    assert sequence.read(2) == b"2"
    assert sequence.read_present([1, 3, 10]) == {1: b"1", 10: b"10"}
    with pytest.raises(FileNotFoundError):
        sequence.read(3)


@pytest.mark.slow
def test_a_store_whose_name_could_be_a_pattern_is_that_store(url: str) -> None:
    sequence, other = ObjectSequence(f"{url}[1]"), ObjectSequence(f"{url}1")
    sequence.create(7, b"its own")
    other.create(7, b"another's")
    assert sequence.list_numbers() == [7]
    assert (sequence.read(7), sequence.read_present([7])) == (b"its own", {7: b"its own"})
    sequence.delete_before(8)
    assert other.list_numbers() == [7]


@pytest.mark.slow
def test_deleting_keeps_the_later_numbers(url: str) -> None:
    sequence = ObjectSequence(url)
    for number in (1, 2, 3):
        sequence.create(number, b"")
    sequence.delete_before(3)
    sequence.delete_before(3)
    assert sequence.list_numbers() == [3]


@given(writes=st.lists(st.tuples(st.integers(1, 6), st.binary(max_size=3))))
def test_the_first_writer_of_each_number_wins_for_ever(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, bytes]]
) -> None:
    sequence = ObjectSequence(str(tmp_path_factory.mktemp("sequence")))
    first: dict[int, bytes] = {}
    for number, content in writes:
        assert sequence.create(number, content) == (number not in first)
        first.setdefault(number, content)
    assert sequence.list_numbers() == sorted(first)
    assert sequence.read_present(range(8)) == first


def test_nothing_half_written_is_an_object_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    sequence = ObjectSequence(str(tmp_path))
    monkeypatch.setattr("os.link", kill)
    with pytest.raises(Killed):
        sequence.create(1, b"content")
    assert sequence.list_numbers() == []


@pytest.mark.slow
def test_a_store_that_is_away_for_a_moment_is_waited_for(moto: MotoServer, bucket: str) -> None:
    sequence = ObjectSequence(f"{bucket}/shared")
    moto.stop()
    later = threading.Timer(0.5, moto.start)
    later.start()
    assert sequence.create(1, b"content")
    later.join()
    assert sequence.read(1) == b"content"


@pytest.mark.slow
def test_a_create_whose_answer_was_lost_has_succeeded(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore(f"{bucket}/shared")
    put, lost = store._files.pipe_file, [ConnectionResetError("no answer")]

    def lose_answer(*arguments: object, **options: object) -> None:
        put(*arguments, **options)
        if lost:
            raise lost.pop()

    monkeypatch.setattr(store._files, "pipe_file", lose_answer)
    assert store.create("one", b"mine")
    assert not store.create("one", b"another's")


@pytest.mark.slow
def test_a_store_that_stays_away_is_named(moto: MotoServer, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "PATIENCE_SECONDS", 0.3)
    moto.stop()
    try:
        with pytest.raises(StoreError, match=rf"{bucket}/shared: no answer for 0 seconds .*try again once it is back"):
            ObjectSequence(f"{bucket}/shared").read(1)
    finally:
        moto.start()


@pytest.mark.slow
def test_a_missing_bucket_is_named(bucket: str) -> None:
    sequence = ObjectSequence("s3://not-there/x")
    for ask in (sequence.list_numbers, lambda: sequence.read(1), lambda: sequence.create(1, b"")):
        with pytest.raises(StoreError, match="s3://not-there/x: there is no such bucket"):
            ask()


def test_missing_credentials_are_named(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(StoreError, match="no credentials; set AWS_ACCESS_KEY_ID"):
        ObjectSequence(f"{bucket}/shared").list_numbers()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(StoreError, match=r"uv pip install .* -r locks/s3\.lock"):
        ObjectSequence("s3://bucket/shared")


def test_an_unknown_scheme_is_named_with_its_secrets_masked() -> None:
    with pytest.raises(StoreError, match=r"nowhere://me:\*\*\*@host/x"):
        ObjectSequence("nowhere://me:secret@host/x")
