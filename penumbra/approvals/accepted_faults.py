"""Faults of the data that people accepted when they ended an investigation, beside the setting `monitor.accept`."""

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from penumbra.approvals.requests import ACCEPT_COLUMNS, ACCEPT_DAYS, ACCEPTED_KEY, list_requests
from penumbra.core.settings import Settings
from penumbra.registry.history.ledger_entries import LedgerEntry
from penumbra.registry.history.shared_ledger import open_ledger

if TYPE_CHECKING:
    from monitoring.windows.window_records import DayFault

FAULTS_KEY = "faults"  # in the evidence of a window's verdict


def include_accepted_faults(settings: Settings) -> Settings:
    """Add to `monitor.accept` what the ledger has as accepted: all that judges or drops days reads it from there.

    Whoever records these settings with a run has both, so that a training can be repeated after further answers.

    Args:
        settings: Sections [monitor] and [ledger] are read.

    Returns:
        The settings with the phrases of settings and ledger, each once.

    Raises:
        BrokenLedger: The ledger isn't whole.
    """
    ended = (request for request in list_requests(open_ledger(settings).entries()))
    phrases = [
        phrase
        for request in ended
        if request.choice in (ACCEPT_DAYS, ACCEPT_COLUMNS)
        for answer in request.answers
        if answer.verdict == request.choice
        for phrase in answer.evidence[ACCEPTED_KEY]
    ]
    accept = list(dict.fromkeys([*settings.monitor.accept, *phrases]))
    return settings.model_copy(update={"monitor": settings.monitor.model_copy(update={"accept": accept})})


def list_accepted_phrases(monitor: Path, entry: LedgerEntry, columns: bool) -> list[str]:
    """List what the setting `monitor.accept` would need for the faults of an investigation to be accepted.

    A fault is entered on its first day alone; the windows' records say how long it went on.

    Args:
        monitor: The settings' `monitor.folder`.
        entry: The investigation's entry.
        columns: Whether its columns are accepted on all days, rather than on those days.

    Returns:
        Phrases such as "2024-07-08 size", or "size"; a fault without a column is accepted by its days.

    Raises:
        DamagedWindow: The record of a window can't be read.
    """
    from monitoring.windows.window_records import DayFault
    from monitoring.windows.window_store import WindowStore

    faults = msgspec.convert(entry.evidence.get(FAULTS_KEY, []), list[DayFault])
    recorded = [fault for window in WindowStore(monitor).read() for fault in window.faults] if faults else []
    return list(
        dict.fromkeys(
            phrase
            for fault in faults
            for phrase in ([fault.column] if columns and fault.column else _list_fault_days(fault, recorded))
        )
    )


def _list_fault_days(fault: "DayFault", recorded: "Sequence[DayFault]") -> Iterator[str]:
    """The days of a fault from its first on, as long as it is recorded on each."""
    same = [fault, *(each for each in recorded if (each.what, each.column) == (fault.what, fault.column))]
    day = fault.day
    while any(each.day <= day <= each.last for each in same):
        yield f"{day} {fault.column}".strip()
        day += dt.timedelta(days=1)
