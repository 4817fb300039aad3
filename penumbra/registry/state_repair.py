"""Repair of the service's state folder: what the ledger or the deployer can write again."""

import logging
from pathlib import Path

import msgspec

from penumbra.registry import pointers
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEntry, find_last_move
from penumbra.registry.pointers import (
    CANARY_ALIAS,
    CANARY_ENDED_FILE,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    ROLLBACK_PIN_FILE,
    RollbackPin,
)
from penumbra.storage.sealed import DamagedFile, replace_sealed_file

logger = logging.getLogger("penumbra.registry")


def restore_damaged_marks(state: Path, ledger: Ledger) -> None:
    """Write the marks of a rollback and of an ended canary anew by the ledger, where they are damaged; logs it.

    Args:
        state: The service's state folder.
        ledger: The ledger.

    Raises:
        DamagedFile: One is damaged, and the ledger doesn't say what it was.
        BrokenLedger: One is damaged, and so is the ledger.
    """
    try:
        pointers.read_rollback_pin(state)
    except DamagedFile as error:
        last = find_last_move(ledger.entries())
        if last is None or last.kind != "rollback":
            raise DamagedFile(f"{error}; the ledger has no rollback: remove the file if there was none") from None
        pin = RollbackPin(last.versions[LIVE_ALIAS], last.versions[PREVIOUS_ALIAS], last.time)
        _restore(state / ROLLBACK_PIN_FILE, msgspec.json.encode(pin), error)
    try:
        pointers.read_ended_canary(state)
    except DamagedFile as error:
        ended = [entry for entry in ledger.entries() if _is_canary_end(entry)]
        if not ended:
            raise DamagedFile(f"{error}; the ledger has no canary's end: remove the file if there was none") from None
        _restore(state / CANARY_ENDED_FILE, ended[-1].versions[CANARY_ALIAS].encode(), error)


def _is_canary_end(entry: LedgerEntry) -> bool:
    return entry.kind == "canary" and entry.verdict == "ended"


def _restore(path: Path, content: bytes, error: DamagedFile) -> None:
    replace_sealed_file(path, content)
    logger.warning("%s: it is written anew as the ledger says", error)
