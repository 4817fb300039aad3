"""A process that was halted for longer than its lease enters nothing that others have overtaken meanwhile."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penumbra.core.settings import PROJECT_ROOT
from penumbra.registry.aliases import ALIASES_LOCK
from penumbra.registry.history.ledger import LEDGER_HEAD_FILE
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import SharedLedger
from penumbra.storage.shared import lease
from penumbra.storage.shared.state import SharedState
from tests.registry.history.ledgers import make_event, read_reasons

LEASE_SECONDS = 0.5
APPEND_AND_HALT = """
import os, signal, sys
from pathlib import Path
from penumbra.registry.history.ledger import LedgerEvent
from penumbra.registry.history.shared_ledger import SharedLedger
from penumbra.storage.shared import lease
from penumbra.storage.shared.object_store import ObjectStore
from penumbra.storage.shared.state import SharedState

folder, url, method, has_seen, seconds = sys.argv[1:]
lease.LEASE_SECONDS = float(seconds)
lease._keep_renewing = lambda *_: None  # no request is under way when it is halted
write = getattr(ObjectStore, method)

def halt_and_write(store, name, content):
    if store.url.endswith("/ledger"):
        setattr(ObjectStore, method, write)
        os.kill(os.getpid(), signal.SIGSTOP)
    return write(store, name, content)

setattr(ObjectStore, method, halt_and_write)
ledger = SharedLedger(Path(folder), SharedState(url))
event = LedgerEvent(kind="rollback", actor="halted", reason="halted", versions={"live": "1"})
with ledger.hold_lock("aliases") as check_lock:
    ledger.decide_on_entries(
        lambda entries: ledger.append(event, seen=entries if has_seen == "yes" else None), check_lock
    )
"""


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", LEASE_SECONDS)


@pytest.fixture(params=["folder", pytest.param("moto", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "shared") if request.param == "folder" else f"{request.getfixturevalue('bucket')}/state"


def make_ledger(folder: Path, url: str) -> SharedLedger:
    return SharedLedger(folder, SharedState(url))


def enter(ledger: SharedLedger, reason: str) -> None:
    ledger.append(make_event(reason))


@contextlib.contextmanager
def halt_append(folder: Path, url: str, method: str, has_seen: bool) -> Iterator[Path]:
    """Halt a process that holds the lock of the aliases, just before it calls this method of the store.

    It goes on at the end of the block, and has ended after it; yields the file with what it wrote to stderr."""
    arguments = [str(folder), url, method, "yes" if has_seen else "no", str(LEASE_SECONDS)]
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    errors = folder.with_suffix(".err")
    with errors.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-c", APPEND_AND_HALT, *arguments], env=environ, stderr=stderr)
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            yield errors
        finally:
            process.send_signal(signal.SIGCONT)
            process.wait()


@pytest.mark.slow
def test_what_was_decided_before_a_halt_is_not_entered_after_others_have_moved(tmp_path: Path, url: str) -> None:
    other = make_ledger(tmp_path / "other", url)
    enter(other, "first")
    with halt_append(tmp_path / "halted", url, "create", has_seen=True) as errors, other.hold_lock(ALIASES_LOCK):
        enter(other, "meanwhile")
    assert "LeaseLost: the lease of this change of aliases expired" in errors.read_text()
    assert read_reasons(other) == read_reasons(make_ledger(tmp_path / "new", url)) == ["first", "meanwhile"]


@pytest.mark.slow
def test_what_stands_by_itself_follows_what_others_have_entered_meanwhile(tmp_path: Path, url: str) -> None:
    other = make_ledger(tmp_path / "other", url)
    enter(other, "first")
    with halt_append(tmp_path / "halted", url, "create", has_seen=False):
        other.append(
            LedgerEvent(kind="verdict", actor="ann", reason="two"),
            lambda _: LedgerEvent(kind="verdict", actor="ann", reason="at once"),
        )
        enter(other, "meanwhile")
    assert read_reasons(make_ledger(tmp_path / "new", url)) == ["first", "two", "at once", "meanwhile", "halted"]


@pytest.mark.slow
def test_an_entry_that_was_written_before_a_halt_counts_and_so_do_all_after_it(tmp_path: Path, url: str) -> None:
    other = make_ledger(tmp_path / "other", url)
    enter(other, "first")
    with halt_append(tmp_path / "halted", url, "write", has_seen=True), other.hold_lock(ALIASES_LOCK):
        assert read_reasons(other) == ["first", "halted"]
        enter(other, "meanwhile")
    sealed = other._objects.store.read(LEDGER_HEAD_FILE)
    assert sealed.startswith(b'{"entries":2,')  # by the process that woke
    assert read_reasons(make_ledger(tmp_path / "new", url)) == ["first", "halted", "meanwhile"]
    assert other._objects.store.read(LEDGER_HEAD_FILE).startswith(b'{"entries":3,')
