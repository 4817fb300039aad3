"""Going back to the previous model version at once, with or without the registry."""

import datetime as dt
import os
from typing import Literal

from penumbra.core.actor import get_actor
from penumbra.core.settings import Settings
from penumbra.registry import aliases, ledger_sync, pointers
from penumbra.registry.ledger import BrokenLedger, Ledger, LedgerEntry, LedgerEvent, find_last_move
from penumbra.registry.manifest import BrokenBundle, verify_bundle
from penumbra.registry.pointers import (
    BUNDLES_FOLDER,
    CANARY_ALIAS,
    CANARY_ENDED_FILE,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    UNFIT_FOLDER,
    RollbackPin,
    read_pointer,
)

REGISTRY_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


class RollbackRefused(RuntimeError):
    """There is nothing to roll back to; the message says why and what to do."""


def roll_back_live(settings: Settings, reason: str, to: str = "") -> str:
    """Point the service to the previous version, or to a given one, without asking the registry.

    Where a canary answers a share of the keys and no version is given, the canary ends, and nothing else happens.

    Args:
        settings: Sections [service] (the state's folder) and [ledger] are read.
        reason: Why, for the ledger; may be empty.
        to: The version to go back to, "" for the previous one.

    Returns:
        A sentence that says which version answers now.

    Raises:
        RollbackRefused: There is no version to go back to, its bundle is damaged, the service's code can't answer with
            it, or the last move was this rollback.
        BrokenLedger: The ledger can't be continued. The rollback is done all the same.
        OSError: The ledger can't be written. The rollback is done all the same.
    """
    state = settings.service.state
    if read_pointer(state) is None:
        raise RollbackRefused(f"{state} names no live version: `make serve` has not begun to serve one yet")
    if not to and (ended := pointers.end_canary(state)):
        live = read_pointer(state)
        _append_event(settings, "canary", "ended", {CANARY_ALIAS: ended, LIVE_ALIAS: live or ""}, reason)
        return f"version {ended} was the canary and answers no more: version {live} does"
    pin = _make_pin(settings, to)
    try:
        _append_event(settings, "rollback", "rollback", {LIVE_ALIAS: pin.live, PREVIOUS_ALIAS: pin.previous}, reason)
    finally:
        pointers.roll_back_pointers(state, pin)
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

    state, ledger, models = settings.service.state, settings.ledger.folder, ModelRegistry(settings.registry)
    try:
        aliases.sync_registry(models, state, ledger)
        if pointers.read_rollback_pin(state) is None and read_pointer(state, CANARY_ENDED_FILE) is None:
            ledger_sync.tag_ledger_entries(models, ledger, Ledger(ledger).entries())
            return "the registry's aliases say so too"
        reason = "it isn't there"
    except Exception as error:  # whatever is wrong with the registry, the rollback stands
        reason = f"{type(error).__name__}: {error}"
    return f"the registry doesn't know yet ({reason}): the deployer tells it when it can"


def _make_pin(settings: Settings, to: str) -> RollbackPin:
    state = settings.service.state
    live, target = read_pointer(state), to or read_pointer(state, PREVIOUS_ALIAS)
    if target == live:
        raise RollbackRefused(f"version {live} is already live")
    if live is None or target is None:
        raise RollbackRefused(
            f"{state} names no version to go back to: there was no promotion since `make serve` began"
        )
    if not to and (last := _find_last_rollback(settings, live)):
        raise RollbackRefused(
            f"version {live} is live since the rollback of {last.time:%Y-%m-%d %H:%M:%S} by {last.actor}: further back "
            f'with `penumbra rollback --to …`, forward with `penumbra promote --force --version {target} --reason "…"`'
        )
    bundle = state / BUNDLES_FOLDER / target
    if not bundle.is_dir():
        here = ", ".join(sorted(path.name for path in bundle.parent.iterdir() if path.is_dir()))
        raise RollbackRefused(f"version {target} can't answer: the service has never had it; it has {here}")
    if (unfit := state / UNFIT_FOLDER / target).exists():
        raise RollbackRefused(unfit.read_text())
    try:
        verify_bundle(bundle)
    except BrokenBundle as error:
        raise RollbackRefused(f"version {target} can't answer: {error}") from None
    return RollbackPin(target, live, dt.datetime.now(dt.UTC))


def _find_last_rollback(settings: Settings, live: str) -> LedgerEntry | None:
    """Return the last move if it was a rollback to the live version. A ledger that can't be read blocks no rollback."""
    try:
        entries = Ledger(settings.ledger.folder).entries()
    except (BrokenLedger, OSError):
        return None
    last = find_last_move(entries)
    return last if last and last.kind == "rollback" and last.versions[LIVE_ALIAS] == live else None


def _append_event(
    settings: Settings, kind: Literal["canary", "rollback"], verdict: str, versions: dict[str, str], reason: str
) -> None:
    event = LedgerEvent(kind=kind, verdict=verdict, actor=get_actor(), reason=reason or "none given", versions=versions)
    Ledger(settings.ledger.folder).append(event)
