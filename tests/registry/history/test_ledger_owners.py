"""Whose a ledger is: a machine's own one is taken to the shared state once, and another project's is left alone."""

import contextlib
from pathlib import Path

import pytest

from penumbra.core.settings import SettingsError, load_settings
from penumbra.registry.history.ledger import ANNOUNCED_NOTE, Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger
from penumbra.registry.history.shared_ledger import SharedLedger, open_ledger, share_ledger
from penumbra.storage.shared.object_store import ObjectStore
from penumbra.storage.shared.state import SharedState
from tests.helpers.servers.processes import run_python
from tests.registry.history.ledgers import make_event, make_ledger, read_reasons


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


def test_another_projects_ledger_is_neither_read_nor_appended_to(tmp_path: Path) -> None:
    state = SharedState(str(tmp_path / "shared"))
    SharedLedger(tmp_path / "one", state, project="flights").append(make_event("a"))
    other = SharedLedger(tmp_path / "two", state, project="orders")
    for use in (other.entries, lambda: other.append(make_event())):
        with pytest.raises(BrokenLedger, match=r"is the ledger of the project 'flights', and this one is 'orders'"):
            use()
    assert read_reasons(SharedLedger(tmp_path / "three", state, project="flights")) == ["a"]


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


@pytest.mark.slow
def test_the_ledger_of_a_single_machine_loads_no_library_for_stores() -> None:
    code = "import sys; from penumbra.registry.history.shared_ledger import open_ledger; print('fsspec' in sys.modules)"
    assert run_python(code) == ["False"]
