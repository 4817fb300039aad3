"""What the ledger has of the versions that a promotion pass judges."""

import datetime as dt
from collections.abc import Sequence

import msgspec
import numpy as np

from penumbra.promotion.unseen_losses import EarlierDays, summarise_earlier_days
from penumbra.registry.history.ledger_entries import COMPARED_DAYS_KEY, LedgerEntry, find_last_move
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS

GATE_VERDICTS = ("pass", "fail", "not enough data")  # those of the ledger's verdicts that are the gate's


def find_gate_verdict(entries: Sequence[LedgerEntry], version: str) -> str | None:
    """Find the gate's latest verdict on a version.

    Args:
        entries: The ledger's entries, in their order.
        version: A model version.

    Returns:
        "pass", "fail" or "not enough data"; None if it never was at the gate.
    """
    verdicts = [e.verdict for e in entries if e.verdict in GATE_VERDICTS and e.versions.get(CANDIDATE_ALIAS) == version]
    return verdicts[-1] if verdicts else None


def find_gate_days(entries: Sequence[LedgerEntry], version: str, live: str) -> EarlierDays:
    """Find the days on which the gate compared a version with the live one.

    Args:
        entries: The ledger's entries, in their order.
        version: The version that was judged.
        live: The live version.

    Returns:
        Their number and the worst of them; none if the gate compared it with another version, or not at all, and none
        but a fault that names the entry if its days aren't what the gate writes.
    """
    pair = {CANDIDATE_ALIAS: version, LIVE_ALIAS: live}
    at_gate = [entry for entry in entries if entry.verdict in GATE_VERDICTS and entry.versions == pair]
    if not at_gate:
        return EarlierDays()
    try:
        days = msgspec.convert(at_gate[-1].evidence.get(COMPARED_DAYS_KEY, []), list[tuple[dt.date, float, float]])
    except msgspec.ValidationError as odd:
        fault = (
            f"no day at the gate counts: {COMPARED_DAYS_KEY} of the ledger's entry {at_gate[-1].number} is odd: {odd}"
        )
        return EarlierDays(fault=fault)
    return summarise_earlier_days(*(np.array([day[place] for day in days], float) for place in (2, 1)))


def find_promotion_time(entries: Sequence[LedgerEntry], aliases: dict[str, str]) -> dt.datetime | None:
    """Find the time at which the live model was promoted over the previous one.

    Args:
        entries: The ledger's entries, in their order.
        aliases: The versions by alias.

    Returns:
        The time (UTC); None if the live model came otherwise.
    """
    last = find_last_move(entries)
    pair = {LIVE_ALIAS: aliases[LIVE_ALIAS], PREVIOUS_ALIAS: aliases.get(PREVIOUS_ALIAS)}
    return last.time if last and last.kind == "promotion" and last.versions == pair else None


def find_canary_start(entries: Sequence[LedgerEntry], aliases: dict[str, str]) -> dt.datetime | None:
    """Find the time since which the candidate answers for some keys.

    Args:
        entries: The ledger's entries, in their order.
        aliases: The versions by alias, one of which is a candidate's.

    Returns:
        The time (UTC); None if the candidate is no canary.
    """
    if aliases.get(CANARY_ALIAS) != aliases[CANDIDATE_ALIAS]:
        return None
    begun = [e.time for e in entries if e.kind == "canary" and e.versions.get(CANARY_ALIAS) == aliases[CANARY_ALIAS]]
    return begun[-1] if begun else None
