"""Entries of ledgers, and what they say."""

from penumbra.registry.history.ledger import Ledger, LedgerEvent


def make_event(reason: str = "better") -> LedgerEvent:
    return LedgerEvent(kind="promotion", actor="ann", reason=reason, versions={"live": "2"})


def read_reasons(ledger: Ledger) -> list[str]:
    return [entry.reason for entry in ledger.entries()]
