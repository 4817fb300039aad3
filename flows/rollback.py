"""`make rollback`: the previous model answers again at once, with or without the registry."""

import datetime as dt
import os
import sys
from typing import Literal

from flows.who import actor
from settings import Settings, SettingsError, load
from stores import moves, pointers
from stores.ledger import BrokenLedger, Entry, Event, Ledger, last_move
from stores.lineage import BUNDLES
from stores.pointers import CANARY, ENDED, POINTER, PREVIOUS, Pin, pointed
from stores.sealed import BrokenBundle, intact

PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


class Refused(RuntimeError):
    """There is nothing to roll back to; says why and what to do."""


def rollback(chosen: Settings, reason: str, to: str = "") -> str:
    """Point the service to the previous version, or to that one; returns what is to be said. The registry isn't asked.
    Where a canary answers a share of the keys, that ends, and nothing else. Raises Refused, and BrokenLedger or OSError
    where the ledger doesn't have it: it is done all the same."""
    if not to and (ended := pointers.end_canary(chosen.service.state)):
        _enter(chosen, "canary", "ended", {CANARY: ended, POINTER: pointed(chosen.service.state) or ""}, reason)
        return f"version {ended} was the canary and answers no more: version {pointed(chosen.service.state)} does"
    pin = _pin(chosen, to)
    entered = f"version {pin.live} answers in place of version {pin.previous}"
    try:
        _enter(chosen, "rollback", "rollback", {POINTER: pin.live, PREVIOUS: pin.previous}, reason)
    finally:
        pointers.roll_back(chosen.service.state, pin)
    return entered


def align(chosen: Settings) -> str:
    """Tell the registry; returns what is to be said of that."""
    os.environ.update({**PATIENCE, **os.environ})
    from flows import history
    from stores.models import Models

    models = Models(chosen.registry)
    try:
        moves.settle(models, chosen.service.state, chosen.ledger.folder)
        if pointers.pinned(chosen.service.state) is None and pointed(chosen.service.state, ENDED) is None:
            history.export(models, chosen.ledger.folder, Ledger(chosen.ledger.folder).entries())
            return "the registry's aliases say so too"
        reason = "it isn't there"
    except Exception as error:  # whatever is wrong with the registry, the rollback stands
        reason = f"{type(error).__name__}: {error}"
    return f"the registry doesn't know yet ({reason}): the deployer tells it when it can"


def _pin(chosen: Settings, to: str) -> Pin:
    state = chosen.service.state
    live, target = pointed(state), to or pointed(state, PREVIOUS)
    if live is None or target is None or target == live:
        raise Refused(f"{state} names no version to go back to: there was no promotion since `make serve` began")
    if not to and (last := _undone(chosen, live)):
        raise Refused(
            f"version {live} is live since the rollback of {last.time:%Y-%m-%d %H:%M:%S} by {last.actor}: further back "
            f'with make rollback TO=…, forward with make promote FORCE=1 VERSION={target} REASON="…"'
        )
    try:
        intact(state / BUNDLES / target)
    except BrokenBundle as error:
        raise Refused(f"version {target} can't answer: {error}") from None
    return Pin(target, live, dt.datetime.now(dt.UTC))


def _undone(chosen: Settings, live: str) -> Entry | None:
    """The last move, where it was a rollback to the live version. A ledger that can't be read keeps nobody from going
    back."""
    try:
        entries = Ledger(chosen.ledger.folder).entries()
    except (BrokenLedger, OSError):
        return None
    last = last_move(entries)
    return last if last and last.kind == "rollback" and last.versions[POINTER] == live else None


def _enter(
    chosen: Settings, kind: Literal["canary", "rollback"], verdict: str, versions: dict[str, str], reason: str
) -> None:
    event = Event(kind=kind, verdict=verdict, actor=actor(), reason=reason or "none given", versions=versions)
    Ledger(chosen.ledger.folder).append(event)


def main(words: list[str]) -> None:
    """Arguments: the reason and the version, each of which may be empty."""
    reason, to = words
    try:
        chosen = load()
        print(rollback(chosen, reason, to), flush=True)
        print(align(chosen))
    except (Refused, SettingsError) as error:
        sys.exit(str(error))
    except (BrokenLedger, OSError) as error:
        align(chosen)
        sys.exit(f"the previous version answers again, but the ledger doesn't have it: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
