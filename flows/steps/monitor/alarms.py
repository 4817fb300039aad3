"""Entries of new alarms in the ledger: once, even if a pass is killed, and not again while an alarm lasts."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from flows.steps.monitor.retraining import NOTHING_NEW, WINDOW_KEY
from monitoring.faults.arrivals import STALE_KEY
from monitoring.faults.data_faults import DataFault, find_fault_changes
from monitoring.windows.window_records import DayFault, Window
from penumbra.approvals.accepted_faults import FAULTS_KEY
from penumbra.approvals.requests import REQUEST_KEY, ApprovalRequest, list_requests, make_approval_terms
from penumbra.approvals.voiding import void_requests
from penumbra.core.settings import MonitorSettings, Settings
from penumbra.core.system.actor import get_actor
from penumbra.logs.archiving.archive_health import read_archive_health
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger

ONE_DAY = dt.timedelta(days=1)
ARCHIVE_KEY = "archive"  # in a verdict's evidence: since when the archiver fails
ALARMS_KEY = "alarms"  # in the evidence of a window's verdict: what is beyond its threshold, "drift" or "loss"
LASTING_VERDICTS = {("investigate", "investigate"), ("wait", "wait"), ("retrain", "wait")}  # of a window and the next
EVIDENCE_FIELDS = (
    "rows",
    "prediction",
    "drift",
    "loss",
    "estimated",
    "labels",
    "calibration",
    "slices",
    "shadow",
    "explanation",
)


def record_alarm(settings: Settings, window: Window, before: Sequence[Window], data_version: str) -> list[str]:
    """Enter a window's verdict in the ledger where there is news: a fault, or drift or loss beyond its threshold.

    What lasts from window to window is entered once, a retraining that waits, too. A window that is judged again, with
    its labels, is entered again for what wasn't known of it; one that asked for a retraining asks for no other.

    Args:
        settings: The settings; the sections `monitor` and `labels` become part of the entry. With `monitor.approve =
            "people"` it has what it waits for.
        window: The window's record.
        before: The records of earlier windows, the earliest first.
        data_version: The data version that the window's model was made from.

    Returns:
        The alarm in one sentence, or nothing.

    Raises:
        BrokenLedger: The ledger is damaged.
    """
    ledger, last = open_ledger(settings), before[-1] if before else None
    span = {"begin": str(window.begin), "end": str(window.end)}

    def is_of_window(entry: LedgerEntry) -> bool:
        return entry.evidence.get(WINDOW_KEY) == span and entry.verdict == window.verdict

    entered = list(filter(is_of_window, ledger.entries()))
    news = _find_news(settings.monitor, window, last, entered)
    if news is None:
        return []
    facts = {name: value for name, value in msgspec.to_builtins(window).items() if name in EVIDENCE_FIELDS}
    is_asked = settings.monitor.approve == "people" and window.verdict != "wait"
    terms = make_approval_terms(settings.promotion, is_lasting=window.verdict == "investigate") if is_asked else {}
    event = LedgerEvent(
        kind="verdict",
        verdict=window.verdict,
        actor=get_actor(),
        reason=window.reason,
        versions={"live": window.model},
        data_version=data_version,
        settings=settings.describe_sections("monitor", "labels"),
        evidence={WINDOW_KEY: span, **terms, **facts, **news},
    )
    is_new = ledger.append_once(event, lambda entry: is_of_window(entry) and entry not in entered)
    return [f"{window.days}, version {window.model}: {window.verdict}: {window.reason}"] if is_new else []


def record_silence(settings: Settings, last: dt.date | None, found: Sequence[DataFault]) -> list[str]:
    """Enter in the ledger that rows have stopped arriving, once for each `last` day, and that they arrive again.

    Args:
        settings: The settings' section `ledger` is read.
        last: The last day with any rows; None where there was none.
        found: The fault that rows have stopped arriving since, or nothing.

    Returns:
        The alarm in one sentence, or nothing.

    Raises:
        BrokenLedger: The ledger is damaged.
    """
    ledger = open_ledger(settings)
    _end_past_alarms(ledger, STALE_KEY, lambda day: day < str(last or ""), f"rows arrive again, the last of {last}")
    return _record_once(ledger, STALE_KEY, str(last), f"{found[0].text} ({found[0].cause})") if found else []


def record_archive_failure(settings: Settings) -> list[str]:
    """Enter in the ledger that the archiver fails, once for each time that it began to, and that it works again.

    Args:
        settings: The settings' sections `service` and `ledger` are read.

    Returns:
        The alarm in one sentence, or nothing.

    Raises:
        BrokenLedger: The ledger is damaged.
    """
    health, ledger = read_archive_health(settings.service.predictions), open_ledger(settings)
    if health is None:
        return []
    since = health.since.isoformat() if health.since else ""
    _end_past_alarms(ledger, ARCHIVE_KEY, lambda begin: begin != since, "the archiver has worked since")
    if health.since is None:
        return []
    first, more = health.failures[0], len(health.failures) - 1
    reason = f"the archiver fails since {health.since:%Y-%m-%d %H:%M} UTC, and the logs may fill the disk: {first}"
    return _record_once(ledger, ARCHIVE_KEY, since, reason + (f" (and {more} more)" if more else ""))


def list_retrained_windows(entries: Sequence[LedgerEntry]) -> dict[dt.date, dt.date]:
    """List the windows that led to a retraining.

    Args:
        entries: The ledger's entries.

    Returns:
        The first day of each such window, and the first one after it: without those for which there was nothing new to
        learn from, and those that people declined or let expire.
    """
    ended = (each.number for each in list_requests(entries) if each.status in ("declined", "void"))
    trained = {e.evidence.get(REQUEST_KEY): e.verdict for e in entries if e.kind == "retrain"}
    outcomes: dict[Any, str] = dict.fromkeys(ended, NOTHING_NEW) | trained
    led = [e for e in entries if e.kind == "verdict" and e.verdict == "retrain" and WINDOW_KEY in e.evidence]
    spans = [e.evidence[WINDOW_KEY] for e in led if outcomes.get(e.number) != NOTHING_NEW]
    return {dt.date.fromisoformat(span["begin"]): dt.date.fromisoformat(span["end"]) for span in spans}


def _record_once(ledger: Ledger, key: str, value: str, reason: str) -> list[str]:
    """Enter an investigation of what belongs to no window, once for each value of its evidence; return the alarm."""
    evidence = {key: value}
    event = LedgerEvent(kind="verdict", verdict="investigate", actor=get_actor(), reason=reason, evidence=evidence)
    is_new = ledger.append_once(event, lambda entry: entry.evidence.get(key) == value)
    return [f"investigate: {reason}"] if is_new else []


def _end_past_alarms(ledger: Ledger, key: str, is_over: Callable[[str], bool], why: str) -> None:
    """End the investigations of what is over by itself, by what their evidence has under the key."""

    def explain(request: ApprovalRequest) -> str:
        return why if key in request.entry.evidence and is_over(request.entry.evidence[key]) else ""

    void_requests(ledger, "investigation", explain)


def _find_news(
    monitor: MonitorSettings, window: Window, last: Window | None, entered: Sequence[LedgerEntry]
) -> dict[str, Any] | None:
    """What is to be told of a window, as evidence; None for nothing. The window before, and the entries of this one
    with the same verdict, have told the rest."""
    alarms = _list_alarms(monitor, window)
    known = {each for entry in entered for each in entry.evidence.get(ALARMS_KEY, alarms)}
    if goes_on := last is not None and (last.verdict, window.verdict) in LASTING_VERDICTS:
        known.update(_list_alarms(monitor, last))
    faults = [fault for fault in _select_new_faults(window, last) if not _is_entered(fault, entered)]
    has_news = faults or not known.issuperset(alarms) if entered or goes_on else window.verdict != "ok"
    if not has_news or (entered and window.verdict == "retrain"):
        return None
    return {ALARMS_KEY: alarms, FAULTS_KEY: msgspec.to_builtins(faults)}


def _list_alarms(monitor: MonitorSettings, window: Window) -> list[str]:
    """What of a window is beyond its threshold, of what is judged; drift beside a fault is taken for its doing."""
    has_drift = monitor.on_drift and not window.faults and window.drift is not None and window.drift.ratio > 1
    has_loss = monitor.on_loss and window.loss is not None and window.loss.is_high
    return [*(["drift"] if has_drift else []), *(["loss"] if has_loss else [])]


def _is_entered(fault: DayFault, entries: Sequence[LedgerEntry]) -> bool:
    """Whether one of a window's entries has a fault."""
    found = (each for entry in entries for each in entry.evidence.get(FAULTS_KEY, []))
    return any(
        (each["day"], each["what"], each["column"]) == (str(fault.day), fault.what, fault.column) for each in found
    )


def _select_new_faults(window: Window, before: Window | None) -> Iterator[DayFault]:
    """The faults that begin in the window: one that was there the day before goes on. Days before the window, which
    were judged together with some of its own, count as its first."""
    now = [(max(fault.day, window.begin), fault) for fault in window.faults]
    found = [*((fault.day, fault) for fault in (before.faults if before and before.end == window.begin else [])), *now]
    open_: set[tuple[str, str]] = set()
    for day in sorted({each for begin, fault in found for each in (begin, fault.last + ONE_DAY)}):
        today = {(each.what, each.column): each for begin, each in found if begin <= day <= each.last}
        new, ended = find_fault_changes(
            [DataFault(each.what, each.column, each.text, each.cause) for each in today.values()], open_
        )
        open_ = (open_ - ended) | {each.key for each in new}
        yield from (today[each.key] for each in new if day >= window.begin)
