"""The ledger of several machines: what one appends all read, in one chain, with as few requests as may be."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.registry.history.ledger import (
    Ledger,
)
from penumbra.registry.history.ledger_head import EMPTY_HEAD
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.object_sequence import ObjectSequence
from tests.helpers.servers.object_stores import MotoServer, SeaweedServer, make_bucket
from tests.registry.history.ledgers import list_objects, make_event, make_ledger, read_reasons


@pytest.fixture(params=["folder", "moto"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "shared") if request.param == "folder" else f"{request.getfixturevalue('bucket')}/state"


def test_what_one_machine_appends_all_read(tmp_path: Path, url: str) -> None:
    one, two = make_ledger(tmp_path, "one", url), make_ledger(tmp_path, "two", url)
    assert one.entries() == two.entries() == []
    appended = [ledger.append(make_event(name)) for ledger, name in ((one, "a"), (two, "b"), (two, "c"), (one, "d"))]
    assert one.entries() == two.entries() == appended
    assert [entry.number for entry in appended] == [1, 2, 3, 4]


def test_the_copy_is_the_ledger_of_a_single_machine(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    for reason in ("a", "b"):
        ledger.append(make_event(reason))
    entries = ledger.entries()
    assert Ledger(tmp_path / "one").entries() == entries
    assert Ledger(tmp_path / "one").append(make_event("alone")).number == 3


def test_two_events_at_once_are_one_object(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.append(make_event("a"))
    entry = ledger.append(make_event("b"), lambda first: make_event(f"after {first.number}"))
    ledger.append(make_event("c"))
    assert entry.number == 2
    assert read_reasons(make_ledger(tmp_path, "two")) == ["a", "b", "after 2", "c"]
    assert list_objects(tmp_path) == ["000000000001", "000000000002", "000000000004", "head.json"]


@pytest.mark.slow
def test_machines_that_append_at_the_same_time_lose_nothing(tmp_path: Path, url: str) -> None:
    begin = threading.Barrier(4)

    def append_some(name: str) -> None:
        ledger = make_ledger(tmp_path, name, url)
        begin.wait()
        for number in range(5):
            ledger.append(make_event(f"{name} {number}"))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(append_some, "abcd"))
    entries = make_ledger(tmp_path, "reader", url).entries()
    assert sorted(entry.reason for entry in entries) == [f"{name} {number}" for name in "abcd" for number in range(5)]


def test_only_what_is_new_is_read_after_an_end_that_was_read_before(tmp_path: Path) -> None:
    one, two = make_ledger(tmp_path, "one"), make_ledger(tmp_path, "two")
    assert two.read_after(EMPTY_HEAD) == ([], EMPTY_HEAD)
    first = one.append(make_event("a"))
    entries, end = two.read_after(EMPTY_HEAD)
    assert (entries, end.entries) == ([first], 1)
    assert two.read_after(end) == ([], end)
    second = one.append(make_event("b"))
    assert two.read_after(end)[0] == [second]


def test_a_machine_whose_copy_is_behind_appends_to_the_same_chain(tmp_path: Path) -> None:
    one, two = make_ledger(tmp_path, "one"), make_ledger(tmp_path, "two")
    one.append(make_event("a"))
    two.entries()
    for ledger, reason in ((one, "b"), (two, "c"), (one, "d"), (two, "e")):
        ledger.append(make_event(reason))
    assert read_reasons(one) == read_reasons(two) == ["a", "b", "c", "d", "e"]


@pytest.mark.slow
def test_an_append_takes_three_requests_and_a_reading_without_news_two(
    tmp_path: Path, moto: MotoServer, bucket: str
) -> None:
    one, two = make_ledger(tmp_path, "one", bucket), make_ledger(tmp_path, "two", bucket)
    one.append(make_event("first"))
    for ledger in (one, two, one):
        begin = len(moto.requests)
        ledger.append(make_event("later"))
        assert [request.split()[0] for request in moto.requests[begin:]] == ["GET", "PUT", "PUT"]
    one.entries()
    begin = len(moto.requests)
    one.entries()
    assert [request.split()[0] for request in moto.requests[begin:]] == ["GET", "GET"]


@pytest.mark.slow
def test_a_new_machine_reads_what_another_left_in_one_object(
    tmp_path: Path, moto: MotoServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penumbra.registry.history.ledger_objects.ENTRIES_BEFORE_SNAPSHOT", 3)
    reasons = [str(number) for number in range(5)]
    for reason in reasons:
        make_ledger(tmp_path, "one", bucket).append(make_event(reason))
    assert read_reasons(make_ledger(tmp_path, "two", bucket)) == reasons
    make_ledger(tmp_path, "one", bucket).append(make_event("later"))
    begin = len(moto.requests)
    assert read_reasons(make_ledger(tmp_path, "three", bucket)) == [*reasons, "later"]
    names = sorted(request.rpartition("/")[2] for request in moto.requests[begin:])
    assert names[:4] == ["000000000005", "000000000006", "000000000007", bucket.removeprefix("s3://")]
    assert names[4:] == ["head.json"]


@pytest.mark.slow
@given(
    writes=st.lists(
        st.tuples(st.sampled_from("abc"), st.text("xy", max_size=3), st.booleans(), st.booleans()), max_size=8
    )
)
def test_whatever_machines_append_and_read_all_have_the_same_chain(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[str, str, bool, bool]]
) -> None:
    folder, expected = tmp_path_factory.mktemp("ledger"), []
    for machine, reason, is_pair, is_read in writes:
        ledger = make_ledger(folder, machine)
        ledger.append(make_event(reason), (lambda _: make_event("second")) if is_pair else None)
        expected += [reason, *["second"] * is_pair]
        if is_read:
            assert read_reasons(ledger) == expected
    for machine in "abcd":
        assert read_reasons(make_ledger(folder, machine)) == expected


@pytest.mark.slow
def test_a_note_and_a_lock_are_shared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = make_ledger(tmp_path, "one"), make_ledger(tmp_path, "two")
    assert two.read_note("announced") == b""

    def read_under_lock() -> bytes:
        with two.hold_lock("announced"):
            return two.read_note("announced")

    with ThreadPoolExecutor(1) as threads:
        with one.hold_lock("announced"):
            waiting = threads.submit(read_under_lock)
            while "another change of announced is at work" not in capsys.readouterr().out:
                time.sleep(0.01)
            one.write_note("announced", b"7")
        assert waiting.result() == b"7"


def test_who_has_lost_a_lock_of_the_ledger_is_told_before_it_writes(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    leases = ObjectSequence(str(tmp_path / "shared" / "leases" / "announced"))
    with pytest.raises(LeaseLost, match="now a colleague is at work"):  # noqa: PT012, SIM117
        with ledger.hold_lock("announced") as check:
            check()
            leases.create(leases.list_numbers()[-1] + 1, b'{"token": "x", "work": "a colleague"}')
            check()
            pytest.fail("a note after the lease was lost")


@pytest.mark.slow
def test_a_real_server_has_one_chain_whoever_writes(
    tmp_path: Path, seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_machines_that_append_at_the_same_time_lose_nothing(tmp_path, make_bucket(seaweed, monkeypatch))
