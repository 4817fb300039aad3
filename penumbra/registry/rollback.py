"""Going back to the previous model version at once, with or without the registry."""

import datetime as dt
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from penumbra.core.settings import Settings
from penumbra.core.system.actor import get_actor
from penumbra.core.text.errors import describe_error
from penumbra.registry import REGISTRY_ENVIRONMENT, aliases, pointers
from penumbra.registry.bundles.manifest import BrokenBundle, verify_bundle
from penumbra.registry.history import ledger_sync
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEntry, LedgerEvent, find_last_move
from penumbra.registry.history.shared_ledger import BRIEF_PATIENCE_SECONDS, open_ledger
from penumbra.registry.pointers import (
    BUNDLES_FOLDER,
    CANARY_ALIAS,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    UNFIT_FOLDER,
    RollbackPin,
    read_pointer,
)


class RollbackRefused(RuntimeError):
    """There is nothing to roll back to; the message says why and what to do."""


def roll_back_live(settings: Settings, reason: str, to: str = "") -> str:
    """Point the service to the previous version, or to a given one, without asking the registry.

    Where a canary answers a share of the keys and no version is given, the canary ends, and nothing else happens.
    A machine that answers nothing itself, beside replicas that do, enters it in the ledger that they follow.

    Args:
        settings: Sections [service] (the state's folder), [ledger] and [cluster] are read.
        reason: Why, for the ledger; may be empty.
        to: The version to go back to, "" for the previous one.

    Returns:
        A sentence that says which version answers now.

    Raises:
        RollbackRefused: There is no version to go back to, its bundle is damaged, the service's code can't answer with
            it, or the last move was this rollback. For replicas also: the ledger can't be read or written.
        BrokenLedger: The ledger can't be continued. The rollback is done all the same.
        OSError: The ledger can't be written. The rollback is done all the same.
    """
    state = settings.service.state
    ledger, begun = _open_ledger(settings), _find_begun_pin(state, to)
    if begun is None and read_pointer(state) is None:
        if settings.cluster.state:
            return _roll_back_replicas(ledger, reason, to)
        raise RollbackRefused(f"{state} names no live version: `make serve` has not begun to serve one yet")
    if begun is None and not to and (canary := read_pointer(state, CANARY_ALIAS)):
        return _end_canary(state, ledger, canary, reason)
    entries = _read_entries(ledger)
    pin = begun or _make_pin(settings, to, entries or [])
    versions = {LIVE_ALIAS: pin.live, PREVIOUS_ALIAS: pin.previous}
    event = _make_event("rollback", "rollback", versions, reason)
    _enter_and_move(state, ledger, entries, event, lambda: pointers.roll_back_pointers(state, pin))
    return f"version {pin.live} answers in place of version {pin.previous}"


def sync_rollback(settings: Settings) -> str:
    """Sync a rollback to the registry. Registry errors are reported, not raised.

    Args:
        settings: Sections [registry], [service] and [ledger] are read.

    Returns:
        A status message.
    """
    os.environ.update({**REGISTRY_ENVIRONMENT, **os.environ})
    from penumbra.registry.models import ModelRegistry

    state, ledger, models = settings.service.state, _open_ledger(settings), ModelRegistry(settings.registry)
    try:
        aliases.sync_registry(models, state, ledger)
        if read_pointer(state) is None:  # replicas do it, of which this is none
            with aliases.hold_alias_lock(ledger):
                ledger_sync.finish_last_move(models, ledger.entries())
        if pointers.read_rollback_pin(state) is None and pointers.read_ended_canary(state) is None:
            ledger_sync.tag_ledger_entries(models, ledger, ledger.entries())
            return "the registry's aliases say so too"
        reason = "it isn't there"
    except Exception as error:  # whatever is wrong with the registry, the rollback stands
        reason = describe_error(error)
    return f"the registry doesn't know yet ({reason}): the deployer tells it when it can"


def _open_ledger(settings: Settings) -> Ledger:
    return open_ledger(settings, BRIEF_PATIENCE_SECONDS)


def _roll_back_replicas(ledger: Ledger, reason: str, to: str) -> str:
    """Enter a rollback, or the end of a canary, in the ledger that replicas follow; what is live is what it says."""
    try:
        said = ledger.decide_on_entries(partial(_enter_rollback, ledger, reason, to))
    except (BrokenLedger, OSError) as error:
        raise RollbackRefused(
            f"replicas hear of a rollback by the ledger, which can't be read or written: {error}"
        ) from None
    return f"{said}, as soon as the replicas have read the ledger"


def _enter_rollback(ledger: Ledger, reason: str, to: str, entries: Sequence[LedgerEntry]) -> str:
    found = ledger_sync.derive_aliases(entries)
    live, canary = found.get(LIVE_ALIAS), found.get(CANARY_ALIAS)
    if live and canary and not to:
        event = _make_event("canary", "ended", {CANARY_ALIAS: canary, LIVE_ALIAS: live}, reason)
        ledger.append(event, seen=entries)
        return f"version {canary} is the canary no more"
    known = {version for entry in entries for version in entry.versions.values()}
    if to and to not in known:
        raise RollbackRefused(f"version {to} can't answer: the ledger doesn't know it")
    last = None if to else find_last_move(entries)
    live, target = _require_move("the ledger", live, to or found.get(PREVIOUS_ALIAS), last)
    event = _make_event("rollback", "rollback", {LIVE_ALIAS: target, PREVIOUS_ALIAS: live}, reason)
    ledger.append(event, seen=entries)
    return f"version {target} answers in place of version {live}"


def _end_canary(state: Path, ledger: Ledger, canary: str, reason: str) -> str:
    live = read_pointer(state) or ""
    event = _make_event("canary", "ended", {CANARY_ALIAS: canary, LIVE_ALIAS: live}, reason)
    _enter_and_move(state, ledger, _read_entries(ledger), event, lambda: pointers.end_canary(state))
    return f"version {canary} was the canary and answers no more: version {live} does"


def _enter_and_move(
    state: Path, ledger: Ledger, entries: list[LedgerEntry] | None, event: LedgerEvent, move: Callable[[], object]
) -> None:
    """Enter a move, then make it; the other way round where the ledger couldn't be read, as that may take long."""
    if entries is None:
        move()
        ledger.append(event)
        return
    try:
        if not _is_entered(state, entries, event.versions):
            ledger.append(event)
    finally:
        move()


def _find_begun_pin(state: Path, to: str) -> RollbackPin | None:
    """Return the pin of a rollback that was cut short between the pin and the pointers, if the same one is wanted."""
    pin = pointers.read_rollback_pin(state)
    return pin if pin and read_pointer(state) != pin.live and to in ("", pin.live) else None


def _is_entered(state: Path, entries: list[LedgerEntry], versions: dict[str, str]) -> bool:
    """Tell whether the ledger has this as its last move, of which nothing was done yet: the process was killed."""
    last = find_last_move(entries, ("promotion", "rollback", "canary"))
    pointer = state / (CANARY_ALIAS if CANARY_ALIAS in versions else LIVE_ALIAS)
    is_same = last is not None and last.versions == versions and (last.kind != "canary" or last.verdict == "ended")
    return last is not None and is_same and pointer.stat().st_mtime < last.time.timestamp()


def _make_pin(settings: Settings, to: str, entries: list[LedgerEntry]) -> RollbackPin:
    state = settings.service.state
    last = None if to else find_last_move(entries)
    live, target = _require_move(str(state), read_pointer(state), to or read_pointer(state, PREVIOUS_ALIAS), last)
    bundle = state / BUNDLES_FOLDER / target
    if not bundle.is_dir():
        here = ", ".join(sorted(path.name for path in bundle.parent.iterdir() if path.is_dir()))
        raise RollbackRefused(f"version {target} can't answer: the service has never had it; it has {here}")
    if unfit := pointers.read_note(state / UNFIT_FOLDER / target):
        raise RollbackRefused(unfit)
    try:
        verify_bundle(bundle, settings.registry.signed_by)
    except BrokenBundle as error:
        raise RollbackRefused(f"version {target} can't answer: {error}") from None
    return RollbackPin(target, live, dt.datetime.now(dt.UTC))


def _require_move(place: str, live: str | None, target: str | None, last: LedgerEntry | None) -> tuple[str, str]:
    """Return the live version and the one to go back to; refuse where there is none, or the last move was that one."""
    if live and target == live:
        raise RollbackRefused(f"version {live} is already live")
    if live is None or target is None:
        raise RollbackRefused(
            f"{place} names no version to go back to: there was no promotion since `make serve` began"
        )
    if last and last.kind == "rollback" and last.versions[LIVE_ALIAS] == live:
        raise RollbackRefused(
            f"version {live} is live since the rollback of {last.time:%Y-%m-%d %H:%M:%S} by {last.actor}: further back "
            f'with `penumbra rollback --to …`, forward with `penumbra promote --force --version {target} --reason "…"`'
        )
    return live, target


def _read_entries(ledger: Ledger) -> list[LedgerEntry] | None:
    """Read the ledger; None where it can't be read, as it must block no rollback."""
    try:
        return ledger.entries()
    except (BrokenLedger, OSError):
        return None


def _make_event(
    kind: Literal["canary", "rollback"], verdict: str, versions: dict[str, str], reason: str
) -> LedgerEvent:
    return LedgerEvent(kind=kind, verdict=verdict, actor=get_actor(), reason=reason or "none given", versions=versions)
