"""Moves of the registry's aliases: all of them or none, by one process at a time, and only from the state that was
judged.

MLflow sets one alias at a time, unconditionally. So whoever moves them holds a lock beside the ledger, reads them
again, and reads them once more when done. Among processes that share the ledger's folder that is a compare-and-set.
With a registry that others reach without that lock, say by hand in MLflow's pages, a move in between is found, not
prevented.
"""

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from penumbra.registry import pointers
from penumbra.registry.ledger import LedgerEntry
from penumbra.registry.pointers import (
    CANARY_ALIAS,
    CANARY_ENDED_FILE,
    CANDIDATE_ALIAS,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    RollbackPin,
    read_pointer,
)
from penumbra.storage.locks import hold_file_lock

ALIASES_LOCK_FILE = "aliases.lock"
LIVE_SINCE_TAG = "live_since"  # a tag of model versions
ALIAS_MOVE_ORDER = (
    CANARY_ALIAS,
    PREVIOUS_ALIAS,
    LIVE_ALIAS,
    CANDIDATE_ALIAS,
)  # a process killed in between has lost no model that answers

AliasVersions = Mapping[str, str]


class AliasesChanged(RuntimeError):
    """The aliases aren't what they were when the move was decided; says what they are."""


class AliasRegistry(Protocol):
    """What is asked of `penumbra.registry.models.ModelRegistry`."""

    def aliases(self) -> dict[str, str] | None: ...

    def set_alias(self, alias: str, version: str) -> None: ...

    def delete_alias(self, alias: str) -> None: ...

    def tag(self, version: str, key: str, value: str) -> None: ...

    def tags(self, version: str) -> dict[str, str]: ...


@contextlib.contextmanager
def hold_alias_lock(ledger: Path) -> Iterator[None]:
    """One process at a time, of those that share the ledger's folder, moves aliases."""
    ledger.mkdir(parents=True, exist_ok=True)
    with hold_file_lock(ledger / ALIASES_LOCK_FILE):
        yield


def require_aliases(models: AliasRegistry, before: AliasVersions) -> None:
    """Raises Overtaken where the aliases are not these."""
    if (found := models.aliases()) != before:
        raise AliasesChanged(
            f"the aliases are {_format_aliases(found)} by now, where {_format_aliases(before)} was judged"
        )


def move_aliases(models: AliasRegistry, before: AliasVersions, after: AliasVersions) -> None:
    """To be called with the lock held. Raises Overtaken where the aliases are not what they were, or not what they
    should be afterwards, because somebody moves them without the lock."""
    require_aliases(models, before)
    for alias in ALIAS_MOVE_ORDER:
        if alias not in after and alias in before:
            models.delete_alias(alias)
        elif alias in after and before.get(alias) != after[alias]:
            models.set_alias(alias, after[alias])
    if LIVE_ALIAS in after and before.get(LIVE_ALIAS) != after[LIVE_ALIAS]:
        models.tag(after[LIVE_ALIAS], LIVE_SINCE_TAG, dt.datetime.now(dt.UTC).isoformat())
    require_aliases(models, after)


def sync_registry(models: AliasRegistry, state: Path, ledger: Path) -> None:
    """Bring the registry in line with a rollback, unless something newer happened in it, and with the end of a canary,
    that were made without it.

    Raises Overtaken, and whatever the registry raises: the rollback then holds until the next time.
    """
    pin, ended = pointers.read_rollback_pin(state), read_pointer(state, CANARY_ENDED_FILE)
    if pin is None and ended is None:
        return
    with hold_alias_lock(ledger):
        before = models.aliases()
        if not before:
            return
        after = drop_version(before, ended) if ended and before.get(CANARY_ALIAS) == ended else before
        if pin and after.get(LIVE_ALIAS) != pin.live and not _is_newer(models, after.get(LIVE_ALIAS), pin):
            after = compute_rolled_back_aliases(after, pin.live, pin.previous)
        move_aliases(models, before, after)
    if pin:
        pointers.clear_rollback_pin(state, pin)
    (state / CANARY_ENDED_FILE).unlink(missing_ok=True)


def drop_version(aliases: AliasVersions, version: str) -> dict[str, str]:
    """The aliases once nothing names this version."""
    return {alias: other for alias, other in aliases.items() if other != version}


def compute_aliases_after(last: LedgerEntry, aliases: AliasVersions) -> dict[str, str]:
    """What a promotion or a rollback of the ledger makes of the aliases."""
    if last.kind == "rollback":
        return compute_rolled_back_aliases(aliases, last.versions[LIVE_ALIAS], last.versions[PREVIOUS_ALIAS])
    moved = {alias: last.versions[alias] for alias in (LIVE_ALIAS, PREVIOUS_ALIAS) if alias in last.versions}
    return drop_version(aliases, last.versions[LIVE_ALIAS]) | moved


def compute_rolled_back_aliases(aliases: AliasVersions, live: str, previous: str) -> dict[str, str]:
    """The aliases after a rollback, which ends a canary too."""
    kept = {
        alias: version
        for alias, version in aliases.items()
        if alias != CANARY_ALIAS and (alias, version) != (CANDIDATE_ALIAS, live)
    }
    return {**kept, LIVE_ALIAS: live, PREVIOUS_ALIAS: previous}


def _is_newer(models: AliasRegistry, live: str | None, pin: RollbackPin) -> bool:
    """Became this version live after the rollback? An alias set by hand carries no time, and counts as older."""
    since = models.tags(live).get(LIVE_SINCE_TAG) if live else None
    return since is not None and dt.datetime.fromisoformat(since) > pin.time


def _format_aliases(aliases: AliasVersions | None) -> str:
    return ", ".join(f"{alias} {version}" for alias, version in sorted((aliases or {}).items())) or "none"
