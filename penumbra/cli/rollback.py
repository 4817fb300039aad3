"""`make rollback`: the previous model answers again at once, with or without the registry."""

import datetime as dt
import os
import sys
from typing import Literal

from penumbra.core.actor import get_actor
from penumbra.core.settings import Settings, SettingsError, load_settings
from penumbra.registry import aliases, pointers
from penumbra.registry.ledger import BrokenLedger, Ledger, LedgerEntry, LedgerEvent, find_last_move
from penumbra.registry.lineage import BUNDLES_FOLDER
from penumbra.registry.manifest import BrokenBundle, verify_bundle
from penumbra.registry.pointers import (
    CANARY_ALIAS,
    CANARY_ENDED_FILE,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    RollbackPin,
    read_pointer,
)

REGISTRY_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


class RollbackRefused(RuntimeError):
    """There is nothing to roll back to; says why and what to do."""


def roll_back_live(settings: Settings, reason: str, to: str = "") -> str:
    """Point the service to the previous version, or to that one; returns what is to be said. The registry isn't asked.
    Where a canary answers a share of the keys, that ends, and nothing else. Raises Refused, and BrokenLedger or OSError
    where the ledger doesn't have it: it is done all the same."""
    if not to and (ended := pointers.end_canary(settings.service.state)):
        _append_event(
            settings,
            "canary",
            "ended",
            {CANARY_ALIAS: ended, LIVE_ALIAS: read_pointer(settings.service.state) or ""},
            reason,
        )
        return (
            f"version {ended} was the canary and answers no more: version {read_pointer(settings.service.state)} does"
        )
    pin = _make_pin(settings, to)
    entered = f"version {pin.live} answers in place of version {pin.previous}"
    try:
        _append_event(settings, "rollback", "rollback", {LIVE_ALIAS: pin.live, PREVIOUS_ALIAS: pin.previous}, reason)
    finally:
        pointers.roll_back_pointers(settings.service.state, pin)
    return entered


def sync_rollback(settings: Settings) -> str:
    """Tell the registry; returns what is to be said of that."""
    os.environ.update({**REGISTRY_ENVIRONMENT, **os.environ})
    from penumbra.cli import history
    from penumbra.registry.models import ModelRegistry

    models = ModelRegistry(settings.registry)
    try:
        aliases.sync_registry(models, settings.service.state, settings.ledger.folder)
        if (
            pointers.read_rollback_pin(settings.service.state) is None
            and read_pointer(settings.service.state, CANARY_ENDED_FILE) is None
        ):
            history.tag_ledger_entries(models, settings.ledger.folder, Ledger(settings.ledger.folder).entries())
            return "the registry's aliases say so too"
        reason = "it isn't there"
    except Exception as error:  # whatever is wrong with the registry, the rollback stands
        reason = f"{type(error).__name__}: {error}"
    return f"the registry doesn't know yet ({reason}): the deployer tells it when it can"


def _make_pin(settings: Settings, to: str) -> RollbackPin:
    state = settings.service.state
    live, target = read_pointer(state), to or read_pointer(state, PREVIOUS_ALIAS)
    if live is None or target is None or target == live:
        raise RollbackRefused(
            f"{state} names no version to go back to: there was no promotion since `make serve` began"
        )
    if not to and (last := _find_last_rollback(settings, live)):
        raise RollbackRefused(
            f"version {live} is live since the rollback of {last.time:%Y-%m-%d %H:%M:%S} by {last.actor}: further back "
            f'with make rollback TO=…, forward with make promote FORCE=1 VERSION={target} REASON="…"'
        )
    try:
        verify_bundle(state / BUNDLES_FOLDER / target)
    except BrokenBundle as error:
        raise RollbackRefused(f"version {target} can't answer: {error}") from None
    return RollbackPin(target, live, dt.datetime.now(dt.UTC))


def _find_last_rollback(settings: Settings, live: str) -> LedgerEntry | None:
    """The last move, where it was a rollback to the live version. A ledger that can't be read keeps nobody from going
    back."""
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


def main(words: list[str]) -> None:
    """Arguments: the reason and the version, each of which may be empty."""
    reason, to = words
    try:
        settings = load_settings()
        print(roll_back_live(settings, reason, to), flush=True)
        print(sync_rollback(settings))
    except (RollbackRefused, SettingsError) as error:
        sys.exit(str(error))
    except (BrokenLedger, OSError) as error:
        sync_rollback(settings)
        sys.exit(f"the previous version answers again, but the ledger doesn't have it: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
