"""Moves of the registry's aliases: by one process at a time, and only from the state that the decision was based on.

MLflow sets one alias at a time, unconditionally. A move therefore holds a lock of the ledger's, reads the
aliases before it changes any, and reads them again when done. Among processes that share the ledger this is a
compare-and-set: all aliases move or none. If others reach the registry without that lock, for example by hand in
MLflow's pages, a move in between is detected, not prevented.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from penumbra.registry import pointers
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEvent
from penumbra.registry.pointers import (
    CANARY_ALIAS,
    CANARY_ENDED_FILE,
    CANDIDATE_ALIAS,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    RollbackPin,
)
from penumbra.registry.state_repair import restore_damaged_marks
from penumbra.storage.sealed import remove_sealed_file

ALIASES_LOCK = "aliases"
LIVE_SINCE_TAG = "live_since"  # a tag of model versions
ALIAS_MOVE_ORDER = (
    CANARY_ALIAS,
    PREVIOUS_ALIAS,
    LIVE_ALIAS,
    CANDIDATE_ALIAS,
)  # a process killed in between has lost no model that answers

AliasVersions = Mapping[str, str]


class AliasesChanged(RuntimeError):
    """The aliases aren't what they were when the move was decided; the message says what they are."""


class AliasRegistry(Protocol):
    """The methods of `penumbra.registry.models.ModelRegistry` that moving aliases needs."""

    def aliases(self) -> dict[str, str] | None:
        """Return the version behind each alias, or None if there is no model yet."""
        ...

    def set_alias(self, alias: str, version: str) -> None:
        """Let `alias` name `version`."""
        ...

    def delete_alias(self, alias: str) -> None:
        """Remove `alias`."""
        ...

    def tag(self, version: str, key: str, value: str) -> None:
        """Set the tag `key` of `version` to `value`."""
        ...

    def tags(self, version: str) -> dict[str, str]:
        """Return the tags of `version`."""
        ...


def hold_alias_lock(ledger: Ledger) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """Hold the lock that lets one process at a time move aliases, as a context manager.

    Args:
        ledger: The ledger, whose lock it is. It excludes the processes that share this ledger.

    Returns:
        The context manager, which yields the check of `Ledger.hold_lock`.
    """
    return ledger.hold_lock(ALIASES_LOCK)


def require_aliases(models: AliasRegistry, before: AliasVersions) -> None:
    """Check that the aliases are still those that a decision was based on.

    Args:
        models: The registry.
        before: The expected version behind each alias.

    Raises:
        AliasesChanged: The registry's aliases are others.
    """
    if (current := models.aliases()) != before:
        raise AliasesChanged(
            f"the aliases are {_format_aliases(current)} by now, where {_format_aliases(before)} was judged"
        )


def move_aliases(
    models: AliasRegistry, before: AliasVersions, after: AliasVersions, since: dt.datetime | None = None
) -> None:
    """Move the aliases if they are still those that the decision was based on; the caller holds the lock.

    A version that becomes live is tagged with the time.

    Args:
        models: The registry.
        before: The version behind each alias when the move was decided.
        after: The version behind each alias afterwards; an alias that is missing here is deleted.
        since: When the live version became live, if it may be so already without its tag; None for now, if it changes.

    Raises:
        AliasesChanged: The aliases are not `before` at the start, and nothing was moved; or not `after` at the end,
            because somebody moves them without the lock.
    """
    require_aliases(models, before)
    for alias in ALIAS_MOVE_ORDER:
        if alias not in after and alias in before:
            models.delete_alias(alias)
        elif alias in after and before.get(alias) != after[alias]:
            models.set_alias(alias, after[alias])
    if LIVE_ALIAS in after and (since or before.get(LIVE_ALIAS) != after[LIVE_ALIAS]):
        models.tag(after[LIVE_ALIAS], LIVE_SINCE_TAG, (since or dt.datetime.now(dt.UTC)).isoformat())
    require_aliases(models, after)


def sync_registry(models: AliasRegistry, state: Path, ledger: Ledger) -> None:
    """Bring the registry's aliases in line with a rollback, and with the end of a canary, that happened without it.

    A version that became live in the registry after the rollback stays live.

    Args:
        models: The registry; nothing happens if it has no aliases.
        state: The service's state folder, with the pointers and the rollback pin. Pin and mark of the ended canary
            are removed once the registry agrees.
        ledger: The ledger, which has the lock.

    Raises:
        DamagedFile: The mark of a rollback or an ended canary is damaged, and the ledger doesn't say what it was.
        BrokenLedger: It is damaged, and so is the ledger.
        AliasesChanged: Somebody else moved an alias meanwhile. After this or any error of the registry's, the rollback
            stays in force by its pin until the next call.
    """
    restore_damaged_marks(state, ledger)
    pin, ended = pointers.read_rollback_pin(state), pointers.read_ended_canary(state)
    if pin is None and ended is None:
        return
    with hold_alias_lock(ledger):
        before = models.aliases()
        if not before:
            return
        after = drop_version(before, ended) if ended and before.get(CANARY_ALIAS) == ended else before
        is_in_force = pin and not _is_newer(models, after.get(LIVE_ALIAS), pin)
        if pin and is_in_force:
            after = compute_rolled_back_aliases(after, pin.live, pin.previous)
        move_aliases(models, before, after, pin.time if pin and is_in_force else None)
    if pin:
        pointers.clear_rollback_pin(state, pin)
    remove_sealed_file(state / CANARY_ENDED_FILE)


def drop_version(aliases: AliasVersions, version: str) -> dict[str, str]:
    """Compute the aliases without those that name a version.

    Args:
        aliases: The version behind each alias.
        version: The version that no alias shall name.

    Returns:
        The remaining aliases, as a new dictionary.
    """
    return {alias: other for alias, other in aliases.items() if other != version}


def compute_aliases_after(last: LedgerEvent, aliases: AliasVersions) -> dict[str, str]:
    """Compute the aliases after an event of the ledger that moves some.

    Args:
        last: The event: a promotion, a rollback, a canary's begin or end, or the rejection of a candidate.
        aliases: The version behind each alias before it.

    Returns:
        The version behind each alias after it, as a new dictionary.
    """
    if last.kind == "rollback":
        return compute_rolled_back_aliases(aliases, last.versions[LIVE_ALIAS], last.versions[PREVIOUS_ALIAS])
    if last.kind == "promotion":
        moved = {alias: last.versions[alias] for alias in (LIVE_ALIAS, PREVIOUS_ALIAS) if alias in last.versions}
        return drop_version(aliases, last.versions[LIVE_ALIAS]) | moved
    if last.kind == "canary" and last.verdict != "ended":
        return {**aliases, CANARY_ALIAS: last.versions[CANARY_ALIAS]}
    return drop_version(aliases, last.versions[CANARY_ALIAS if last.kind == "canary" else CANDIDATE_ALIAS])


def compute_rolled_back_aliases(aliases: AliasVersions, live: str, previous: str) -> dict[str, str]:
    """Compute the aliases after a rollback, which also ends a canary.

    Args:
        aliases: The version behind each alias before the rollback.
        live: The version that was rolled back to; it is no candidate any more.
        previous: The version that was live before.

    Returns:
        The version behind each alias after the rollback, as a new dictionary.
    """
    others = {
        alias: version
        for alias, version in aliases.items()
        if alias != CANARY_ALIAS and (alias, version) != (CANDIDATE_ALIAS, live)
    }
    return {**others, LIVE_ALIAS: live, PREVIOUS_ALIAS: previous}


def _is_newer(models: AliasRegistry, live: str | None, pin: RollbackPin) -> bool:
    """Tell whether a version became live after the rollback; an alias set by hand carries no time and is older."""
    since = models.tags(live).get(LIVE_SINCE_TAG) if live else None
    return since is not None and dt.datetime.fromisoformat(since) > pin.time


def _format_aliases(aliases: AliasVersions | None) -> str:
    return ", ".join(f"{alias} {version}" for alias, version in sorted((aliases or {}).items())) or "none"
