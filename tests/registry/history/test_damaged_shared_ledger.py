"""A shared ledger whose writers die, whose objects are edited, or whose copies are of another one."""

import contextlib
from pathlib import Path

import pytest

from penumbra.registry.history.ledger import LEDGER_FILE, LEDGER_HEAD_FILE, Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger
from penumbra.registry.history.shared_ledger import SharedLedger
from penumbra.storage.shared.object_store import ObjectStore
from tests.registry.history.ledgers import list_objects, make_event, make_ledger, read_reasons


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


def test_a_copy_of_another_ledger_is_named_and_read_anew_once_it_is_away(tmp_path: Path) -> None:
    Ledger(tmp_path / "one").append(make_event("another"))
    make_ledger(tmp_path, "two").append(make_event("a"))
    with pytest.raises(BrokenLedger, match=r"this machine's copy of .*/shared/ledger: if that one is whole, move"):
        make_ledger(tmp_path).entries()
    for name in (LEDGER_FILE, LEDGER_HEAD_FILE):
        (tmp_path / "one" / name).unlink()
    assert read_reasons(make_ledger(tmp_path)) == ["a"]


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


def test_a_damaged_object_of_all_entries_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penumbra.registry.history.ledger_objects.ENTRIES_BEFORE_SNAPSHOT", 1)
    for reason in "abc":
        make_ledger(tmp_path).append(make_event(reason))
    assert read_reasons(make_ledger(tmp_path, "two")) == ["a", "b", "c"]
    (snapshot,) = (tmp_path / "shared" / "ledger" / "upto").iterdir()
    snapshot.write_bytes(snapshot.read_bytes().replace(b"ann", b"bob", 1))
    assert read_reasons(make_ledger(tmp_path, "three")) == ["a", "b", "c"]
