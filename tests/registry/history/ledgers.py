"""Entries of ledgers, and what they say."""

from pathlib import Path

from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.history.shared_ledger import SharedLedger
from penumbra.storage.shared.state import SharedState


def make_event(reason: str = "better") -> LedgerEvent:
    return LedgerEvent(kind="promotion", actor="ann", reason=reason, versions={"live": "2"})


def read_reasons(ledger: Ledger) -> list[str]:
    return [entry.reason for entry in ledger.entries()]


def make_ledger(folder: Path, machine: str = "one", url: str = "") -> SharedLedger:
    """The ledger as a machine sees it, behind a URL or in another folder."""
    return SharedLedger(folder / machine, SharedState(url or str(folder / "shared")))


def list_objects(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "shared" / "ledger").iterdir())
