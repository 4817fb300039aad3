"""A rollback that was made on another machine is followed, by the ledger alone."""

import os
from pathlib import Path

import pytest

import penumbra.registry.history.ledger
from penumbra.registry.history.ledger import LEDGER_FILE, Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEntry, LedgerEvent
from penumbra.registry.history.ledger_head import LedgerHead
from penumbra.registry.pointers import read_pointer, read_rollback_pin
from penumbra.storage.sealed import replace_sealed_file
from service.processes.deployment.rollback_watch import RollbackWatch


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder in which version 2 was live since before anything that happens now, and 1 before that."""
    folder = tmp_path / "state"
    for version in ("1", "2"):
        (folder / "bundles" / version).mkdir(parents=True)
    for pointer, version in (("live", "2"), ("previous", "1"), ("canary", "3")):
        replace_sealed_file(folder / pointer, version)
        os.utime(folder / pointer, (1, 1))
    return folder


def enter(folder: Path, kind: str, verdict: str, **versions: str) -> Ledger:
    ledger = Ledger(folder / "ledger")
    ledger.append(LedgerEvent(kind=kind, verdict=verdict, actor="ann", reason="it errs", versions=versions))  # type: ignore[arg-type]
    return ledger


def test_a_rollback_elsewhere_is_one_here(tmp_path: Path, state: Path) -> None:
    ledger = enter(tmp_path, "rollback", "rollback", live="1", previous="2")
    assert "version 1 answers in place of version 2" in RollbackWatch(ledger, state).follow_last_move()
    assert (read_pointer(state), read_pointer(state, "previous")) == ("1", "2")
    pin = read_rollback_pin(state)
    assert pin
    assert pin.time == ledger.entries()[-1].time
    assert RollbackWatch(ledger, state).follow_last_move() == ""


def test_what_was_deployed_since_stays(tmp_path: Path, state: Path) -> None:
    ledger = enter(tmp_path, "rollback", "rollback", live="1", previous="2")
    os.utime(state / "live")
    assert RollbackWatch(ledger, state).follow_last_move() == ""
    assert read_pointer(state) == "2"


def test_a_promotion_after_a_rollback_ends_it(tmp_path: Path, state: Path) -> None:
    enter(tmp_path, "rollback", "rollback", live="1", previous="2")
    ledger = enter(tmp_path, "promotion", "promote", live="2", previous="1")
    assert RollbackWatch(ledger, state).follow_last_move() == ""


def test_a_version_that_is_not_here_is_said(tmp_path: Path, state: Path) -> None:
    ledger = enter(tmp_path, "rollback", "rollback", live="0", previous="2")
    assert "isn't here" in RollbackWatch(ledger, state).follow_last_move()
    assert read_pointer(state) == "2"


def test_a_canary_that_was_ended_elsewhere_ends_here(tmp_path: Path, state: Path) -> None:
    ledger = enter(tmp_path, "canary", "ended", canary="3", live="2")
    assert "the canary no more" in RollbackWatch(ledger, state).follow_last_move()
    assert read_pointer(state, "canary") is None


def test_a_rollback_counts_by_its_number_whatever_the_clocks_say(tmp_path: Path, state: Path) -> None:
    RollbackWatch(enter(tmp_path, "promotion", "promote", live="2", previous="1"), state).follow_last_move()
    os.utime(state / "live", (2e9, 2e9))
    ledger = enter(tmp_path, "rollback", "rollback", live="1", previous="2")
    assert "version 1 answers" in RollbackWatch(ledger, state).follow_last_move()


def test_only_what_is_new_is_read_and_a_version_that_arrives_later_is_gone_back_to(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = enter(tmp_path, "rollback", "rollback", live="0", previous="2")
    watch, decode, read = (
        RollbackWatch(ledger, state),
        penumbra.registry.history.ledger.decode_chained_line,
        list[int](),
    )

    def decode_and_count(line: bytes, head: LedgerHead, source: Path) -> LedgerEntry:
        read.append(head.entries + 1)
        return decode(line, head, source)

    monkeypatch.setattr(penumbra.registry.history.ledger, "decode_chained_line", decode_and_count)
    assert "isn't here" in watch.follow_last_move()
    assert "isn't here" in watch.follow_last_move()
    (state / "bundles" / "0").mkdir()
    assert "version 0 answers in place of version 2" in watch.follow_last_move()
    enter(tmp_path, "verdict", "ok", live="0")
    assert watch.follow_last_move() == ""
    assert read == [1, 2]


def test_after_a_ledger_that_was_damaged_all_of_it_is_read(tmp_path: Path, state: Path) -> None:
    ledger = enter(tmp_path, "promotion", "promote", live="2", previous="1")
    watch = RollbackWatch(ledger, state)
    watch.follow_last_move()
    path = ledger.folder / LEDGER_FILE
    whole = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(BrokenLedger):
        watch.follow_last_move()
    path.write_bytes(whole)
    enter(tmp_path, "rollback", "rollback", live="1", previous="2")
    assert "version 1 answers in place of version 2" in watch.follow_last_move()


def test_a_rollback_is_followed_once(tmp_path: Path, state: Path) -> None:
    ledger = enter(tmp_path, "rollback", "rollback", live="1", previous="2")
    RollbackWatch(ledger, state).follow_last_move()
    replace_sealed_file(state / "live", "2")
    os.utime(state / "live", (1, 1))  # by a clock that is behind
    assert RollbackWatch(ledger, state).follow_last_move() == ""
    assert read_pointer(state) == "2"
