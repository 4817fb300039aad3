"""What is new of a window, into the ledger: once, whatever became of the pass before, and not again while it lasts."""

import datetime as dt
from collections.abc import Iterator, Sequence

import msgspec

from flows.watch.retraining import NOTHING_NEW, WINDOW
from flows.who import actor
from monitoring.arrivals import stale
from monitoring.data_faults import DataFault, events
from settings import Settings
from stores.ledger import Entry, Event, Ledger
from stores.windows import Fault, Window

ZERO, ONE_DAY = dt.timedelta(0), dt.timedelta(days=1)
QUIET_DAYS = 2
STALE = "stale"  # in the evidence: since when
KEPT = ("rows", "prediction", "drift", "loss", "estimated", "labels", "calibration", "slices", "shadow")


def enter(chosen: Settings, window: Window, before: Sequence[Window], data_version: str) -> list[str]:
    """Returns the alarm, where the window is one that isn't entered yet. `before`: the windows before it."""
    new = list(_new_faults(window, before[-1] if before else None))
    goes_on = window.verdict == "investigate" and not new and bool(before) and before[-1].verdict == "investigate"
    if window.verdict == "ok" or goes_on:
        return []
    ledger, place = Ledger(chosen.ledger.folder), {"begin": str(window.begin), "end": str(window.end)}
    if any(e.evidence.get(WINDOW) == place and e.verdict == window.verdict for e in ledger.entries()):
        return []
    facts = {name: value for name, value in msgspec.to_builtins(window).items() if name in KEPT}
    event = Event(
        kind="verdict",
        verdict=window.verdict,
        actor=actor(),
        reason=window.reason,
        versions={"live": window.model},
        data_version=data_version,
        settings=chosen.model_dump(mode="json", include={"monitor", "labels"}),
        evidence={WINDOW: place, **facts, "faults": msgspec.to_builtins(new)},
    )
    ledger.append(event)
    return [f"{window.begin} to {window.end}, version {window.model}: {window.verdict}: {window.reason}"]


def of_silence(chosen: Settings, last: dt.date | None, today: dt.date) -> list[str]:
    """Did the rows stop coming? Entered once for each `last` day with any."""
    ledger, found = Ledger(chosen.ledger.folder), stale(last, today, QUIET_DAYS) if chosen.monitor.on_faults else []
    if not found or any(entry.evidence.get(STALE) == str(last) for entry in ledger.entries()):
        return []
    reason = f"{found[0].text} ({found[0].cause})"
    evidence = {STALE: str(last)}
    ledger.append(Event(kind="verdict", verdict="investigate", actor=actor(), reason=reason, evidence=evidence))
    return [f"investigate: {reason}"]


def retrained(entries: Sequence[Entry], begin: dt.date) -> list[dt.date]:
    """The ends of the windows that led to a retraining, but this one; those that found nothing new to learn from don't
    count."""
    idle = {e.evidence.get("verdict") for e in entries if e.kind == "retrain" and e.verdict == NOTHING_NEW}
    led = [e for e in entries if e.kind == "verdict" and e.verdict == "retrain" and WINDOW in e.evidence]
    places = [e.evidence[WINDOW] for e in led if e.number not in idle]
    return [dt.date.fromisoformat(place["end"]) for place in places if place["begin"] != str(begin)]


def _new_faults(window: Window, before: Window | None) -> Iterator[Fault]:
    """Those that begin: what was there the day before goes on."""
    found = [*(before.faults if before and before.end == window.begin else []), *window.faults]
    open_: set[tuple[str, str]] = set()
    for day in sorted({each + step for each in {fault.day for fault in found} for step in (ZERO, ONE_DAY)}):
        today = {(each.what, each.column): each for each in found if each.day == day}
        new, ended = events(
            [DataFault(each.what, each.column, each.text, each.cause) for each in today.values()], open_
        )
        open_ = (open_ - ended) | {each.key for each in new}
        yield from (today[each.key] for each in new if day >= window.begin)
