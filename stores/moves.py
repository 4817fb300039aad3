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

from stores import pointers
from stores.ledger import Entry
from stores.locks import held
from stores.pointers import CANARY, CANDIDATE, ENDED, POINTER, PREVIOUS, Pin, pointed

LOCK = "aliases.lock"
SINCE = "live_since"  # a tag of model versions
ORDER = (CANARY, PREVIOUS, POINTER, CANDIDATE)  # a process killed in between has lost no model that answers

Aliases = Mapping[str, str]


class Overtaken(RuntimeError):
    """The aliases aren't what they were when the move was decided; says what they are."""


class Registry(Protocol):
    """What is asked of `stores.models.Models`."""

    def aliases(self) -> dict[str, str] | None: ...

    def point(self, alias: str, version: str) -> None: ...

    def unpoint(self, alias: str) -> None: ...

    def tag(self, version: str, key: str, value: str) -> None: ...

    def tags(self, version: str) -> dict[str, str]: ...


@contextlib.contextmanager
def alone(ledger: Path) -> Iterator[None]:
    """One process at a time, of those that share the ledger's folder, moves aliases."""
    ledger.mkdir(parents=True, exist_ok=True)
    with held(ledger / LOCK):
        yield


def require(models: Registry, before: Aliases) -> None:
    """Raises Overtaken where the aliases are not these."""
    if (found := models.aliases()) != before:
        raise Overtaken(f"the aliases are {_words(found)} by now, where {_words(before)} was judged")


def move(models: Registry, before: Aliases, after: Aliases) -> None:
    """To be called with the lock held. Raises Overtaken where the aliases are not what they were, or not what they
    should be afterwards, because somebody moves them without the lock."""
    require(models, before)
    for alias in ORDER:
        if alias not in after and alias in before:
            models.unpoint(alias)
        elif alias in after and before.get(alias) != after[alias]:
            models.point(alias, after[alias])
    if POINTER in after and before.get(POINTER) != after[POINTER]:
        models.tag(after[POINTER], SINCE, dt.datetime.now(dt.UTC).isoformat())
    require(models, after)


def settle(models: Registry, state: Path, ledger: Path) -> None:
    """Bring the registry in line with a rollback, unless something newer happened in it, and with the end of a canary,
    that were made without it.

    Raises Overtaken, and whatever the registry raises: the rollback then holds until the next time.
    """
    pin, ended = pointers.pinned(state), pointed(state, ENDED)
    if pin is None and ended is None:
        return
    with alone(ledger):
        before = models.aliases()
        if not before:
            return
        after = without(before, ended) if ended and before.get(CANARY) == ended else before
        if pin and after.get(POINTER) != pin.live and not _newer(models, after.get(POINTER), pin):
            after = rolled_back(after, pin.live, pin.previous)
        move(models, before, after)
    if pin:
        pointers.unpin(state, pin)
    (state / ENDED).unlink(missing_ok=True)


def without(aliases: Aliases, version: str) -> dict[str, str]:
    """The aliases once nothing names this version."""
    return {alias: other for alias, other in aliases.items() if other != version}


def after(last: Entry, aliases: Aliases) -> dict[str, str]:
    """What a promotion or a rollback of the ledger makes of the aliases."""
    if last.kind == "rollback":
        return rolled_back(aliases, last.versions[POINTER], last.versions[PREVIOUS])
    moved = {alias: last.versions[alias] for alias in (POINTER, PREVIOUS) if alias in last.versions}
    return without(aliases, last.versions[POINTER]) | moved


def rolled_back(aliases: Aliases, live: str, previous: str) -> dict[str, str]:
    """The aliases after a rollback, which ends a canary too."""
    kept = {
        alias: version
        for alias, version in aliases.items()
        if alias != CANARY and (alias, version) != (CANDIDATE, live)
    }
    return {**kept, POINTER: live, PREVIOUS: previous}


def _newer(models: Registry, live: str | None, pin: Pin) -> bool:
    """Became this version live after the rollback? An alias set by hand carries no time, and counts as older."""
    since = models.tags(live).get(SINCE) if live else None
    return since is not None and dt.datetime.fromisoformat(since) > pin.time


def _words(aliases: Aliases | None) -> str:
    return ", ".join(f"{alias} {version}" for alias, version in sorted((aliases or {}).items())) or "none"
