import contextlib
import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.registry.history.ledger import LEDGER_FILE, LEDGER_HEAD_FILE, Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEntry, LedgerEvent
from penumbra.registry.history.ledger_head import EMPTY_HEAD
from penumbra.registry.history.shared_ledger import SharedLedger
from penumbra.storage.shared.state import SharedState
from tests.registry.history.ledgers import make_event, read_reasons

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.builds(
    LedgerEvent,
    kind=st.sampled_from(["verdict", "promotion", "rollback", "retrain"]),
    actor=st.text(),
    reason=st.text(),
    versions=st.dictionaries(st.text(), st.text(), max_size=3),
    evidence=st.dictionaries(st.text(), JSON, max_size=3),
)


def write_ledger(folder: Path, entries: int) -> Ledger:
    ledger = Ledger(folder / "ledger")
    for number in range(1, entries + 1):
        ledger.append(make_event(f"reason {number}"))
    return ledger


@pytest.mark.slow
@given(st.lists(EVENTS, max_size=4))
def test_what_was_appended_is_read_back_in_its_order(tmp_path_factory, events):
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    appended = [ledger.append(event) for event in events]
    assert ledger.entries() == appended
    assert [(entry.reason, entry.evidence) for entry in appended] == [
        (event.reason, event.evidence) for event in events
    ]
    assert [entry.number for entry in appended] == list(range(1, len(events) + 1))


def test_a_ledger_that_was_never_written_is_empty_and_stays_so(tmp_path):
    assert Ledger(tmp_path / "ledger").entries() == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["alone", "shared"])
def two_writers(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Ledger, Ledger]:
    """A ledger as two processes of one machine, or two machines, see it."""
    if request.param == "alone":
        return Ledger(tmp_path), Ledger(tmp_path)
    state = SharedState(str(tmp_path / "shared"))
    return SharedLedger(tmp_path / "one", state), SharedLedger(tmp_path / "two", state)


def test_what_follows_from_the_entries_is_decided_anew_where_others_have_appended(
    two_writers: tuple[Ledger, Ledger],
) -> None:
    (ledger, other), seen = two_writers, list[int]()

    def decide(entries: list[LedgerEntry]) -> LedgerEntry:
        if not seen:
            other.append(make_event("theirs"))
        seen.append(len(entries))
        return ledger.append(make_event(f"after {len(entries)}"), seen=entries)

    assert ledger.decide_on_entries(decide).number == 2
    assert (seen, read_reasons(ledger)) == ([0, 1], ["theirs", "after 1"])


def test_nothing_is_decided_anew_once_the_lock_is_lost(two_writers: tuple[Ledger, Ledger]) -> None:
    ledger, other = two_writers

    def decide(entries: list[LedgerEntry]) -> LedgerEntry:
        other.append(make_event("theirs"))
        return ledger.append(make_event("own"), seen=entries)

    def check_lock() -> None:
        raise TimeoutError("the lease expired")

    with pytest.raises(TimeoutError, match="expired"):
        ledger.decide_on_entries(decide, check_lock)
    assert read_reasons(ledger) == ["theirs"]


def test_of_several_that_enter_the_same_at_once_one_does(two_writers: tuple[Ledger, Ledger]) -> None:
    begin = threading.Barrier(2)

    def enter(ledger: Ledger) -> LedgerEntry | None:
        begin.wait()
        return ledger.append_once(make_event("once"), lambda entry: entry.reason == "once")

    with ThreadPoolExecutor(2) as threads:
        entered = list(threads.map(enter, two_writers))
    assert sorted(entry is None for entry in entered) == [False, True]
    assert read_reasons(two_writers[0]) == ["once"]


def test_what_was_read_before_and_is_there_no_more_shows(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path, 2)
    end = ledger.read_after(EMPTY_HEAD)[1]
    for name in (LEDGER_FILE, LEDGER_HEAD_FILE):
        (ledger.folder / name).unlink()
    write_ledger(tmp_path, 1)
    with pytest.raises(BrokenLedger, match=r"bytes: it had \d+ when it was read before"):
        ledger.read_after(end)


def edits(content: bytes) -> Iterator[bytes]:
    """Every byte in turn, with the lowest bit, the case of a letter, or the highest bit changed."""
    for at, byte in enumerate(content):
        yield content[:at] + bytes([byte ^ (0x01, 0x20, 0x80)[at % 3]]) + content[at + 1 :]


@pytest.mark.parametrize("name", [LEDGER_FILE, LEDGER_HEAD_FILE])
def test_any_edit_of_a_single_byte_shows(tmp_path, name):
    ledger = write_ledger(tmp_path, 2)
    path = ledger.folder / name
    for edited in edits(path.read_bytes()):
        path.write_bytes(edited)
        with pytest.raises(BrokenLedger, match=f"{LEDGER_FILE}|{LEDGER_HEAD_FILE}"):
            ledger.entries()


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ([2, 3], "line 1: this is entry 2"),
        ([1, 3], "line 2: this is entry 3"),
        ([1, 2], "ends after line 2: head.json was sealed with 3"),
        ([], "ends after line 0: head.json was sealed with 3"),
        ([1, 3, 2], "line 2: this is entry 3"),
        ([1, 2, 3, 3], "line 4: this is entry 3"),
    ],
)
def test_removed_swapped_and_repeated_lines_are_named(tmp_path, kept, words):
    ledger = write_ledger(tmp_path, 3)
    path = ledger.folder / LEDGER_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[number - 1] for number in kept))
    with pytest.raises(BrokenLedger, match=words):
        ledger.entries()


def test_an_edited_line_is_named_by_the_one_that_was_chained_to_it(tmp_path):
    ledger = write_ledger(tmp_path, 3)
    path = ledger.folder / LEDGER_FILE
    path.write_bytes(path.read_bytes().replace(b"reason 1", b"excuse 1"))
    with pytest.raises(BrokenLedger, match=r"line 2: not chained to the line before"):
        ledger.entries()


@pytest.mark.parametrize("lost", [LEDGER_FILE, LEDGER_HEAD_FILE])
def test_a_file_that_is_gone_is_missed_by_readers_and_writers(tmp_path, lost):
    ledger = write_ledger(tmp_path, 2)
    (ledger.folder / lost).unlink()
    for use in (ledger.entries, lambda: ledger.append(make_event())):
        with pytest.raises(BrokenLedger, match=LEDGER_HEAD_FILE):
            use()


@given(st.data())
def test_a_process_killed_at_any_byte_of_an_entry_costs_no_whole_entry(tmp_path_factory, data):
    ledger = write_ledger(tmp_path_factory.mktemp("killed"), 2)
    sealed, before = (ledger.folder / LEDGER_HEAD_FILE).read_bytes(), (ledger.folder / LEDGER_FILE).stat().st_size
    ledger.append(make_event("reason 3"))
    (ledger.folder / LEDGER_HEAD_FILE).write_bytes(sealed)
    size = (ledger.folder / LEDGER_FILE).stat().st_size
    end = data.draw(st.integers(before, size) | st.just(size))
    os.truncate(ledger.folder / LEDGER_FILE, end)
    kept = ["reason 1", "reason 2"] + ["reason 3"] * (end == size)
    assert read_reasons(ledger) == kept
    ledger.append(make_event("later"))
    assert read_reasons(ledger) == [*kept, "later"]


def append_many(folder: Path, name: str) -> None:
    for number in range(10):
        Ledger(folder).append(make_event(f"{name} {number}"))


@pytest.mark.slow
def test_processes_that_append_at_the_same_time_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=append_many, args=(tmp_path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(read_reasons(Ledger(tmp_path))) == [f"{name} {number}" for name in "abc" for number in range(10)]


def append_until_killed(folder: Path, numbers: Connection) -> None:
    for number in itertools.count():
        Ledger(folder).append(make_event(f"reason {number}"))
        numbers.send(number)


def test_a_process_that_is_killed_has_lost_nothing_that_it_had_appended(tmp_path):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=append_until_killed, args=(tmp_path, sender))
    process.start()
    while receiver.recv() < 20:
        pass
    process.kill()
    process.join()
    sender.close()
    last = 20
    with contextlib.suppress(EOFError):
        while True:
            last = receiver.recv()
    Ledger(tmp_path).append(make_event("later"))
    kept = read_reasons(Ledger(tmp_path))
    assert kept[: last + 1] == [f"reason {number}" for number in range(last + 1)]
    assert (len(kept) - last, kept[-1]) in ((2, "later"), (3, "later"))
