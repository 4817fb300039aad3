import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.settings import SettingsError, load_settings
from penumbra.registry.history.ledger import (
    ANNOUNCED_NOTE,
    LEDGER_FILE,
    LEDGER_HEAD_FILE,
    BrokenLedger,
    Ledger,
)
from penumbra.registry.history.ledger_head import EMPTY_HEAD
from penumbra.registry.history.shared_ledger import SharedLedger, open_ledger, share_ledger
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.object_sequence import ObjectSequence
from penumbra.storage.shared.object_store import ObjectStore
from penumbra.storage.shared.state import SharedState
from tests.helpers.servers.object_stores import MotoServer, SeaweedServer, make_bucket
from tests.helpers.servers.processes import run_python
from tests.registry.history.ledgers import make_event, read_reasons


def make_ledger(folder: Path, machine: str = "one", url: str = "") -> SharedLedger:
    """The ledger as a machine sees it, behind a URL or in another folder."""
    return SharedLedger(folder / machine, SharedState(url or str(folder / "shared")))


def list_objects(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "shared" / "ledger").iterdir())


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


def kill_in_append(ledger: SharedLedger, monkeypatch: pytest.MonkeyPatch, method: str, writes: int) -> None:
    """Append an entry that is cut short at one of the writes."""
    left, write = [None] * writes, getattr(ObjectStore, method)

    def write_or_die(store: ObjectStore, *arguments: object) -> object:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return write(store, *arguments)

    with monkeypatch.context() as dying, contextlib.suppress(KeyboardInterrupt):
        dying.setattr(ObjectStore, method, write_or_die)
        ledger.append(make_event("killed"), lambda _: make_event("at once"))


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize(("method", "writes"), [("create", 0), ("create", 1), ("write", 0)])
def test_a_process_killed_between_two_writes_leaves_both_entries_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, method: str, writes: int
) -> None:
    ledger = make_ledger(tmp_path)
    expected = [f"reason {number}" for number in range(before)]
    for reason in expected:
        ledger.append(make_event(reason))
    kill_in_append(ledger, monkeypatch, method, writes)
    if method == "write" or (before and writes):
        expected += ["killed", "at once"]
    for machine in ("one", "two"):
        assert read_reasons(make_ledger(tmp_path, machine)) == expected
    make_ledger(tmp_path, "three").append(make_event("later"))
    for machine in ("one", "two", "four"):
        assert read_reasons(make_ledger(tmp_path, machine)) == [*expected, "later"]


def test_any_object_that_is_edited_or_removed_shows(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    for reason in ("a", "b", "c"):
        ledger.append(make_event(reason))
    ledger.entries()
    for name in list_objects(tmp_path):
        path = tmp_path / "shared" / "ledger" / name
        content = path.read_bytes()
        for edited in (content.replace(b'"', b"'", 1), content.replace(b"1", b"2", 1), None):
            path.unlink() if edited is None else path.write_bytes(edited)
            with pytest.raises(BrokenLedger):
                make_ledger(tmp_path, f"new {name}").entries()
        path.write_bytes(content)
    assert read_reasons(ledger) == ["a", "b", "c"]


def test_an_end_that_was_removed_together_with_the_head_shows_where_it_was_read(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.append(make_event("a"))
    head = (tmp_path / "shared" / "ledger" / LEDGER_HEAD_FILE).read_bytes()
    ledger.append(make_event("b"))
    ledger.entries()
    (tmp_path / "shared" / "ledger" / LEDGER_HEAD_FILE).write_bytes(head)
    (tmp_path / "shared" / "ledger" / "000000000002").unlink()
    with pytest.raises(BrokenLedger, match="is not what was read before: it had 2 entries"):
        ledger.entries()


def test_a_reading_seals_what_is_behind_the_head(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.append(make_event("a"))
    head = (tmp_path / "shared" / "ledger" / LEDGER_HEAD_FILE).read_bytes()
    ledger.append(make_event("b"))
    sealed = (tmp_path / "shared" / "ledger" / LEDGER_HEAD_FILE).read_bytes()
    (tmp_path / "shared" / "ledger" / LEDGER_HEAD_FILE).write_bytes(head)
    assert read_reasons(make_ledger(tmp_path, "two")) == ["a", "b"]
    assert (tmp_path / "shared" / "ledger" / LEDGER_HEAD_FILE).read_bytes() == sealed


def test_a_copy_does_not_hide_what_became_of_the_entries_that_were_read_before(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    assert ledger.verify_entries() == 0
    ledger.append(make_event("a"), lambda _: make_event("at once"))
    ledger.append(make_event("c"))
    assert ledger.verify_entries() == 3
    path = tmp_path / "shared" / "ledger" / "000000000001"
    content = path.read_bytes()
    for edited, words in ((content.replace(b"ann", b"bob"), "line 2: not chained"), (None, "lacks entry 1: ")):
        path.unlink() if edited is None else path.write_bytes(edited)
        assert read_reasons(ledger) == ["a", "at once", "c"]
        with pytest.raises(BrokenLedger, match=f"shared/ledger.* {words}"):
            ledger.verify_entries()
    path.write_bytes(content)
    last = tmp_path / "shared" / "ledger" / "000000000003"
    last.write_bytes(last.read_bytes().replace(b"ann", b"bob"))
    with pytest.raises(BrokenLedger, match=r"shared/ledger, line 3: not what .*/one has, which was read before"):
        ledger.verify_entries()


def test_only_what_is_new_is_read_after_an_end_that_was_read_before(tmp_path: Path) -> None:
    one, two = make_ledger(tmp_path, "one"), make_ledger(tmp_path, "two")
    assert two.read_after(EMPTY_HEAD) == ([], EMPTY_HEAD)
    first = one.append(make_event("a"))
    entries, end = two.read_after(EMPTY_HEAD)
    assert (entries, end.entries) == ([first], 1)
    assert two.read_after(end) == ([], end)
    second = one.append(make_event("b"))
    assert two.read_after(end)[0] == [second]


def test_a_project_whose_state_another_one_has_begun_meanwhile_appends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, create = SharedState(str(tmp_path / "shared")), ObjectStore.create

    def create_second(store: ObjectStore, name: str, content: bytes) -> bool:
        monkeypatch.setattr(ObjectStore, "create", create)
        SharedLedger(tmp_path / "one", state, project="flights").append(make_event("a"))
        return create(store, name, content)

    monkeypatch.setattr(ObjectStore, "create", create_second)
    with pytest.raises(BrokenLedger, match="is the ledger of the project 'flights', and this one is 'orders'"):
        SharedLedger(tmp_path / "two", state, project="orders").append(make_event("b"))
    assert read_reasons(SharedLedger(tmp_path / "three", state, project="flights")) == ["a"]


def test_a_copy_of_another_ledger_is_named_and_read_anew_once_it_is_away(tmp_path: Path) -> None:
    Ledger(tmp_path / "one").append(make_event("another"))
    make_ledger(tmp_path, "two").append(make_event("a"))
    with pytest.raises(BrokenLedger, match=r"this machine's copy of .*/shared/ledger: if that one is whole, move"):
        make_ledger(tmp_path).entries()
    for name in (LEDGER_FILE, LEDGER_HEAD_FILE):
        (tmp_path / "one" / name).unlink()
    assert read_reasons(make_ledger(tmp_path)) == ["a"]


def test_a_ledger_of_a_single_machine_is_taken_to_the_state_once(tmp_path: Path) -> None:
    for reason in ("a", "b"):
        Ledger(tmp_path / "one").append(make_event(reason))
    ledger = make_ledger(tmp_path)
    for use in (ledger.entries, lambda: ledger.append(make_event())):
        with pytest.raises(BrokenLedger, match="has one of 2 entries: `penumbra history --share` takes it there"):
            use()
    assert ledger.share() == ledger.share() == 2
    ledger.append(make_event("c"))
    assert read_reasons(make_ledger(tmp_path, "two")) == read_reasons(ledger) == ["a", "b", "c"]
    Ledger(tmp_path / "three").append(make_event("another"))
    with pytest.raises(BrokenLedger, match="has a ledger already"):
        make_ledger(tmp_path, "three").share()


def test_a_machine_with_a_ledger_of_its_own_appends_to_no_other(tmp_path: Path) -> None:
    make_ledger(tmp_path, "two").append(make_event("theirs"))
    for name, count in (("fewer", 1), ("more", 3)):
        for _ in range(count):
            Ledger(tmp_path / name).append(make_event("own"))
        with pytest.raises(BrokenLedger, match=r"this machine's copy of .* keep them if this machine has entered"):
            make_ledger(tmp_path, name).append(make_event())
    assert read_reasons(make_ledger(tmp_path, "two")) == ["theirs"]


def test_a_machine_whose_copy_is_behind_appends_to_the_same_chain(tmp_path: Path) -> None:
    one, two = make_ledger(tmp_path, "one"), make_ledger(tmp_path, "two")
    one.append(make_event("a"))
    two.entries()
    for ledger, reason in ((one, "b"), (two, "c"), (one, "d"), (two, "e")):
        ledger.append(make_event(reason))
    assert read_reasons(one) == read_reasons(two) == ["a", "b", "c", "d", "e"]


def test_another_projects_ledger_is_neither_read_nor_appended_to(tmp_path: Path) -> None:
    state = SharedState(str(tmp_path / "shared"))
    SharedLedger(tmp_path / "one", state, project="flights").append(make_event("a"))
    other = SharedLedger(tmp_path / "two", state, project="orders")
    for use in (other.entries, lambda: other.append(make_event())):
        with pytest.raises(BrokenLedger, match=r"is the ledger of the project 'flights', and this one is 'orders'"):
            use()
    assert read_reasons(SharedLedger(tmp_path / "three", state, project="flights")) == ["a"]


def test_an_object_that_the_store_lacks_is_no_reason_to_move_a_copy_away(tmp_path: Path) -> None:
    for reason in ("a", "b"):
        make_ledger(tmp_path).append(make_event(reason))
    (tmp_path / "shared" / "ledger" / "000000000002").unlink()
    with pytest.raises(BrokenLedger, match=r"shared/ledger lacks entry 2: head\.json was sealed with 2$"):
        make_ledger(tmp_path).entries()


@pytest.mark.parametrize("content", [b"{}", b'{"entries": 0, "bytes": 0}'])
def test_a_head_without_its_fields_is_none(tmp_path: Path, content: bytes) -> None:
    make_ledger(tmp_path).append(make_event())
    (tmp_path / "shared" / "ledger" / LEDGER_HEAD_FILE).write_bytes(content)
    with pytest.raises(BrokenLedger, match="missing required field"):
        make_ledger(tmp_path).entries()


def test_an_append_whose_seal_fails_has_its_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = make_ledger(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError("away")

    with monkeypatch.context() as failing:
        failing.setattr(ObjectStore, "write", refuse)
        assert ledger.append(make_event("a")).number == 1
    ledger.append(make_event("b"))
    assert read_reasons(make_ledger(tmp_path, "two")) == ["a", "b"]


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_sharing_that_was_killed_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    for reason in ("a", "b"):
        Ledger(tmp_path / "one").append(make_event(reason))
    Ledger(tmp_path / "one").write_note(ANNOUNCED_NOTE, b"2")
    left, create = [None] * writes, ObjectStore.create

    def create_or_die(store: ObjectStore, name: str, content: bytes) -> bool:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return create(store, name, content)

    with monkeypatch.context() as dying, contextlib.suppress(KeyboardInterrupt):
        dying.setattr(ObjectStore, "create", create_or_die)
        make_ledger(tmp_path).share()
    with pytest.raises(BrokenLedger, match="`penumbra history --share`"):
        make_ledger(tmp_path).append(make_event())
    assert make_ledger(tmp_path).share() == 2
    assert make_ledger(tmp_path, "two").read_note(ANNOUNCED_NOTE) == b"2"
    make_ledger(tmp_path, "two").append(make_event("c"))
    assert make_ledger(tmp_path).share() == 2
    assert read_reasons(make_ledger(tmp_path)) == ["a", "b", "c"]


def test_nothing_is_taken_where_there_is_no_ledger(tmp_path: Path) -> None:
    assert make_ledger(tmp_path).share() == 0
    assert list(tmp_path.iterdir()) == []


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


def test_a_damaged_object_of_all_entries_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penumbra.registry.history.ledger_objects.ENTRIES_BEFORE_SNAPSHOT", 1)
    for reason in "abc":
        make_ledger(tmp_path).append(make_event(reason))
    assert read_reasons(make_ledger(tmp_path, "two")) == ["a", "b", "c"]
    (snapshot,) = (tmp_path / "shared" / "ledger" / "upto").iterdir()
    snapshot.write_bytes(snapshot.read_bytes().replace(b"ann", b"bob", 1))
    assert read_reasons(make_ledger(tmp_path, "three")) == ["a", "b", "c"]


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


def test_the_settings_say_whether_the_ledger_is_shared(tmp_path: Path) -> None:
    folder = {"PENUMBRA_LEDGER__FOLDER": str(tmp_path / "ledger")}
    assert open_ledger(load_settings(environ=folder)) == Ledger(tmp_path / "ledger")
    shared = open_ledger(load_settings(environ=folder | {"PENUMBRA_CLUSTER__STATE": "s3://bucket/state/"}))
    assert shared == SharedLedger(tmp_path / "ledger", SharedState("s3://bucket/state"), project="flight-delay")


def test_a_ledger_is_taken_to_the_state_by_the_settings(tmp_path: Path) -> None:
    folder = {"PENUMBRA_LEDGER__FOLDER": str(tmp_path / "ledger")}
    alone = load_settings(environ=folder)
    with pytest.raises(SettingsError, match="this machine is the only one"):
        share_ledger(alone)
    shared = load_settings(environ=folder | {"PENUMBRA_CLUSTER__STATE": str(tmp_path / "shared")})
    assert share_ledger(shared) == f"{tmp_path}/ledger has no ledger: nothing to share"
    open_ledger(alone).append(make_event("a"))
    assert share_ledger(shared) == f"entries 1 to 1 are at {tmp_path}/shared/ledger"
    assert open_ledger(shared).append(make_event("b")).number == 2


def test_the_ledger_of_a_single_machine_loads_no_library_for_stores() -> None:
    code = "import sys; from penumbra.registry.history.shared_ledger import open_ledger; print('fsspec' in sys.modules)"
    assert run_python(code) == ["False"]


@pytest.mark.slow
def test_a_real_server_has_one_chain_whoever_writes(
    tmp_path: Path, seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_machines_that_append_at_the_same_time_lose_nothing(tmp_path, make_bucket(seaweed, monkeypatch))
