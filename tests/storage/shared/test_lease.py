import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.storage.shared.lease import LeaseLost, hold_lease
from penumbra.storage.shared.object_sequence import ObjectSequence
from penumbra.storage.work_lock import WorkInProgress
from tests.helpers.servers.object_stores import SeaweedServer, make_bucket


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penumbra.storage.shared.lease.LEASE_SECONDS", 0.9)


def abandon_lease(url: str, name: str, seconds: float) -> None:
    """Take a lease as a process does that is killed at once."""
    record = {"token": "t", "work": "ingest", "holder": "process 7 on a-pod", "since": "2024-01-31 08:00:00 UTC"}
    number = max([0, *ObjectSequence(f"{url}/{name}").list_numbers()]) + 1
    content = json.dumps(record | {"expires": time.time() + seconds}).encode()
    assert ObjectSequence(f"{url}/{name}").create(number, content)


def test_one_holds_a_lease_and_another_is_told_who_it_is(tmp_path: Path) -> None:
    with hold_lease(str(tmp_path), "data", "ingest") as lease:
        assert not lease.has_waited
        with (
            pytest.raises(WorkInProgress, match=r"^another ingest is at work \(since .* UTC, process \d+ on .+\)$"),
            hold_lease(str(tmp_path), "data", "ingest", wait=False),
        ):
            pass
        with hold_lease(str(tmp_path), "another", "ingest", wait=False):
            pass
    with hold_lease(str(tmp_path), "data", "train", wait=False) as lease:
        assert not lease.has_waited


@pytest.mark.slow
def test_a_lease_whose_holder_was_killed_is_waited_for_until_it_expires(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    abandon_lease(str(tmp_path), "data", seconds=0.6)
    began = time.time()
    with hold_lease(str(tmp_path), "data", "train", seconds=0.6) as lease:
        assert lease.has_waited
    assert time.time() - began > 0.5
    said = "ingest is at work (since 2024-01-31 08:00:00 UTC, process 7 on a-pod): this one waits for it\n"
    assert capsys.readouterr().out == said


@pytest.mark.slow
def test_who_waits_for_nobody_alive_waits_for_one_that_was_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    abandon_lease(str(tmp_path), "data", seconds=0.6)
    with hold_lease(str(tmp_path), "data", "train", wait=False) as lease:
        assert lease.has_waited
    assert capsys.readouterr().out.endswith("process 7 on a-pod): this one waits to see whether it is\n")


@pytest.mark.slow
def test_an_expired_lease_is_taken_by_one_of_eight(tmp_path: Path) -> None:
    check_that_one_takes_an_expired_lease(str(tmp_path))


@pytest.mark.slow
def test_an_expired_lease_on_a_real_server_is_taken_by_one_of_eight(
    seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penumbra.storage.shared.lease.LEASE_SECONDS", 6.0)
    check_that_one_takes_an_expired_lease(f"{make_bucket(seaweed, monkeypatch)}/leases")


def check_that_one_takes_an_expired_lease(url: str) -> None:
    abandon_lease(url, "data", seconds=-60)
    end, begin = threading.Event(), threading.Barrier(8)

    def take(_: int) -> bool:
        begin.wait()
        try:
            with hold_lease(url, "data", "ingest", wait=False):
                return end.wait(20)
        except WorkInProgress:
            return False

    with ThreadPoolExecutor(8) as threads:
        taken = [threads.submit(take, each) for each in range(8)]
        while sum(each.done() for each in taken) < 7:
            time.sleep(0.05)
        end.set()
        assert sorted(each.result() for each in taken) == [False] * 7 + [True]


@pytest.mark.slow
def test_a_lease_is_renewed_as_long_as_its_holder_works(tmp_path: Path) -> None:
    with hold_lease(str(tmp_path), "data", "ingest", seconds=0.6) as lease:
        time.sleep(1.5)
        with pytest.raises(WorkInProgress), hold_lease(str(tmp_path), "data", "train", wait=False):
            pass
        lease.check()
    assert len(ObjectSequence(f"{tmp_path}/data").list_numbers()) == 1


@pytest.mark.slow
def test_who_has_lost_a_lease_is_told_by_whom(tmp_path: Path) -> None:
    with pytest.raises(LeaseLost, match=r"of this train expired, and now ingest is at work .*process 7 on a-pod"):  # noqa: PT012, SIM117
        with hold_lease(str(tmp_path), "data", "train", seconds=0.6) as lease:
            abandon_lease(str(tmp_path), "data", seconds=60)
            time.sleep(0.5)
            with pytest.raises(LeaseLost):
                lease.check()


def test_a_holder_that_slept_past_deleted_records_has_lost_the_lease(tmp_path: Path) -> None:
    sequence = ObjectSequence(f"{tmp_path}/data")
    with pytest.raises(LeaseLost), hold_lease(str(tmp_path), "data", "train"):  # noqa: PT012
        for _ in range(3):
            abandon_lease(str(tmp_path), "data", seconds=60)
        sequence.delete_before(max(sequence.list_numbers()))


def test_an_error_in_the_block_returns_the_lease(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold_lease(str(tmp_path), "data", "train"):
        raise KeyError("own")
    with hold_lease(str(tmp_path), "data", "train", wait=False) as lease:
        assert not lease.has_waited


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [-3600, 0, 660])
def test_whatever_a_clock_elsewhere_says_a_lease_ends_once_nothing_new_was_seen(tmp_path: Path, seconds: int) -> None:
    abandon_lease(str(tmp_path), "data", seconds)
    began = time.monotonic()
    with hold_lease(str(tmp_path), "data", "train", wait=False, seconds=0.3):
        assert 0.3 < time.monotonic() - began < 5


@pytest.mark.slow
def test_a_lease_is_held_whatever_another_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold_lease(str(tmp_path), "data", "ingest"):
        monkeypatch.setattr("time.time", lambda: 9e9)
        with pytest.raises(WorkInProgress), hold_lease(str(tmp_path), "data", "train", wait=False):
            pass


def test_a_holder_that_was_halted_is_told_by_its_check_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penumbra.storage.shared.lease._keep_renewing", lambda *_: None)
    with pytest.raises(LeaseLost, match="of this train expired, and now ingest is at work"):  # noqa: PT012, SIM117
        with hold_lease(str(tmp_path), "data", "train", seconds=0.1) as lease:
            with hold_lease(str(tmp_path), "data", "ingest", seconds=0.1):
                lease.check()
            pytest.fail("a write after the lease was lost")


@pytest.mark.slow
def test_a_check_renews_a_lease_that_expired_and_nobody_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penumbra.storage.shared.lease._keep_renewing", lambda *_: None)
    with hold_lease(str(tmp_path), "data", "train", seconds=0.1) as lease:
        time.sleep(0.2)
        lease.check()


def test_a_renewal_whose_answer_was_lost_loses_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penumbra.storage.shared.lease._keep_renewing", lambda *_: None)
    create = ObjectSequence.create

    def lose_answer(sequence: ObjectSequence, number: int, content: bytes) -> bool:
        create(sequence, number, content)
        raise OSError("no answer")

    with hold_lease(str(tmp_path), "data", "train") as lease:
        with monkeypatch.context() as lost:
            lost.setattr(ObjectSequence, "create", lose_answer)
            with pytest.raises(OSError, match="no answer"):
                lease.check()
        lease.check()


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b'{"token": "t", "expires": 1, "later": [1]}'])
def test_a_record_of_another_version_or_of_nobody_is_waited_for(tmp_path: Path, content: bytes) -> None:
    assert ObjectSequence(f"{tmp_path}/data").create(1, content)
    with hold_lease(str(tmp_path), "data", "train", seconds=0.1) as lease:
        assert lease.has_waited


def test_an_error_of_the_block_is_raised_in_place_of_the_lease_that_was_lost(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="own") as error, hold_lease(str(tmp_path), "data", "train"):  # noqa: PT012
        abandon_lease(str(tmp_path), "data", seconds=60)
        raise KeyError("own")
    (note,) = error.value.__notes__
    assert note.startswith("the lease of this train expired, and now ingest is at work")


@pytest.mark.slow
@given(holders=st.lists(st.sampled_from(["killed", "returned"]), max_size=5))
def test_whatever_became_of_the_holders_before_the_next_one_takes_the_lease(
    tmp_path_factory: pytest.TempPathFactory, holders: list[str]
) -> None:
    url = str(tmp_path_factory.mktemp("leases"))
    for each in holders:
        if each == "killed":
            abandon_lease(url, "data", seconds=-60)
        else:
            with hold_lease(url, "data", "ingest", wait=False, seconds=0.02):
                pass
    with hold_lease(url, "data", "train", wait=False, seconds=0.02):
        pass
