"""The ledger as a table, and one of its entries with all its evidence."""

from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from penumbra.core.text.masking import mask_settings
from penumbra.core.text.quoting import shorten_text
from penumbra.core.text.tables import format_table
from penumbra.registry.history.ledger_entries import LedgerEntry, format_versions

MAX_REASON_WIDTH = 80
EMPTY_LEDGER = "The ledger is empty: `make train` makes its first entries."


def describe_verified(count: int) -> str:
    """Return a sentence that says that a ledger of `count` entries is whole, or that there is none."""
    return f"Entries 1 to {count} are what was written." if count else EMPTY_LEDGER


def format_ledger(entries: Sequence[LedgerEntry]) -> str:
    """Format the ledger as a table.

    Args:
        entries: The ledger's entries, oldest first.

    Returns:
        A line for each entry, newest last; a sentence where there is none.
    """
    if not entries:
        return EMPTY_LEDGER
    return format_table(pl.DataFrame([_build_row(entry) for entry in entries]))


def encode_ledger(entries: Sequence[LedgerEntry]) -> str:
    """Encode the ledger for machines.

    Args:
        entries: The ledger's entries.

    Returns:
        A JSON list of all entries with their evidence; secrets in the settings are masked.
    """
    return msgspec.json.encode(list(map(_mask_entry, entries))).decode()


def find_ledger_entry(entries: Sequence[LedgerEntry], number: int) -> LedgerEntry:
    """Find an entry by its number.

    Args:
        entries: The ledger's entries.
        number: The entry's number, from 1.

    Returns:
        The entry.

    Raises:
        LookupError: The ledger has no such entry.
    """
    matching = [entry for entry in entries if entry.number == number]
    if not matching:
        raise LookupError(f"the ledger has no entry {number}: it has {len(entries)}")
    return matching[0]


def format_ledger_entry(entry: LedgerEntry) -> str:
    """Format one entry whole, with its evidence.

    Args:
        entry: The entry.

    Returns:
        Indented JSON; secrets in the settings are masked.
    """
    return msgspec.json.format(msgspec.json.encode(_mask_entry(entry)), indent=2).decode()


def _mask_entry(entry: LedgerEntry) -> LedgerEntry:
    return msgspec.structs.replace(entry, settings=mask_settings(entry.settings))


def _build_row(entry: LedgerEntry) -> Mapping[str, str]:
    return {
        "entry": str(entry.number),
        "time": f"{entry.time:%Y-%m-%d %H:%M:%S}",
        "kind": entry.kind,
        "verdict": entry.verdict,
        "versions": format_versions(entry),
        "actor": entry.actor,
        "reason": shorten_text(entry.reason, MAX_REASON_WIDTH),
    }
