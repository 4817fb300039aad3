"""The deployer, a process of its own: brings the versions behind the registry's aliases to where the others find them.

Only this process talks to the registry; while that is away, workers and shadow go on with what they have.

<state>/live, candidate, previous, canary  the versions, each file replaced as a whole (see service/live.py)
<state>/rolled-back, canary-ended          what the registry doesn't know of yet (stores/pointers.py)
<state>/refused                            the candidate that is not let into the shadow, and why
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kinds import Kind
from problem import features, schema
from service.background import log_to_stderr, sleep, until_told
from settings import Settings, load
from stores import bundle, moves
from stores.lineage import BUNDLES, RUNS
from stores.pointers import CANARY, CANDIDATE, ENDED, POINTER, PREVIOUS, pointed, swap, write
from stores.sealed import intact
from stores.shadow import REFUSED
from task import Task

LONGEST_WAIT_SECONDS = 15.0
NO_MODEL = "the registry has no live model yet: `make train`"

logger = logging.getLogger("service.deploy")


class Registry(moves.Registry, Protocol):
    """What is asked of `stores.models.Models`."""

    def version(self, alias: str) -> str | None: ...

    def run_of(self, name: str) -> str: ...

    def download(self, version: str, folder: Path) -> None: ...


def deploy_once(models: Registry, state: Path, kinds: Sequence[Kind], task: Task | None = None) -> str | None:
    """Make the registry's live version the one that the workers see; return it, or None where there is none. `task` is
    the contract's, where that matters.

    Raises bundle.BrokenBundle where the version can't be served, and whatever the registry raises.
    """
    old, version = pointed(state), models.version(POINTER)
    if version is None:
        return None
    folder = state / BUNDLES / version
    if not folder.exists():
        _fetch(models, version, folder, lambda aside: bundle.read(aside, kinds, version, task))
    if old != version:
        bundle.read(folder, kinds, version, task)
        if not swap(state, old, version):  # rolled back since the registry was asked
            return pointed(state)
    _note_run(models, state, version)
    return version


def discard_damaged(state: Path, kinds: Sequence[Kind]) -> None:
    """Remove the live bundle where it is damaged, so that the next pass fetches it anew and workers load it again."""
    version = pointed(state)
    if version is None:
        return
    try:
        bundle.read(state / BUNDLES / version, kinds, version)
    except Exception as error:
        logger.error("the bundle of the live version %s is damaged and is fetched again: %s", version, error)
        shutil.rmtree(state / BUNDLES / version, ignore_errors=True)
        (state / POINTER).unlink(missing_ok=True)


def deploy_candidate(models: Registry, state: Path) -> str | None:
    """Let the registry's candidate into the shadow, or nobody where that is the live version or there is none. Return
    it. What its bundle does when it is run is for the shadow to find out, where it can do no harm.

    Raises bundle.BrokenBundle where it isn't what was registered, and whatever the registry raises.
    """
    version = models.version(CANDIDATE)
    if version is None or version == pointed(state):
        (state / CANDIDATE).unlink(missing_ok=True)
        version = None
    else:
        _let_in(models, state, CANDIDATE, version)
    (state / REFUSED).unlink(missing_ok=True)
    return version


def deploy_previous(models: Registry, state: Path) -> str | None:
    """The same for the version before the live one: the registry's, or else the one that was live before here."""
    version = models.version(PREVIOUS) or pointed(state, PREVIOUS)
    if version is None or version == pointed(state):
        return None
    _let_in(models, state, PREVIOUS, version)
    return version


def deploy_canary(models: Registry, state: Path) -> str | None:
    """The same for the version that answers a share of the keys, which ends as soon as the registry names none."""
    version = models.version(CANARY)
    if version in (None, pointed(state), pointed(state, ENDED)):
        (state / CANARY).unlink(missing_ok=True)
        return None
    _let_in(models, state, CANARY, version)
    return version


@dataclass
class Place:
    """What one alias names, brought here again and again: something is said only when something changes, and it is
    tried less often while it fails."""

    name: str
    deploy: Callable[[], str | None]
    absent: str
    poll_seconds: float
    said: str = ""
    due: float = 0.0
    wait: float = 0.0
    found: bool = False

    def tend(self) -> bool:
        """Deploy where that is due; return whether there is a version."""
        if time.monotonic() < self.due:
            return self.found
        try:
            version, self.wait = self.deploy(), self.poll_seconds
            say = f"version {version} is {self.name}" if version else self.absent
            self.found = version is not None
        except Exception as error:
            say = f"deploying {self.name} failed, trying again: {type(error).__name__}: {error}"
            self.found = False
            self.wait = min(max(self.wait, self.poll_seconds) * 2, max(LONGEST_WAIT_SECONDS, self.poll_seconds))
        if say != self.said:
            logger.info(say or f"there is no {self.name} any more")
        self.said, self.due = say, time.monotonic() + self.wait
        return self.found


def follow(models: Registry, settings: Settings, running: Callable[[], bool]) -> None:
    """Deploy again and again. Where the registry has no live version, it isn't asked for others: it may be an
    empty one in the place of one that was lost."""
    state, poll = settings.service.state, settings.service.poll_seconds
    discard_damaged(state, features.FEATURES)
    live = Place(POINTER, lambda: _deploy_settled(models, settings), NO_MODEL, poll)
    others = [
        Place(CANDIDATE, lambda: _noting_refusals(models, state), "", poll),
        Place(PREVIOUS, lambda: deploy_previous(models, state), "", poll),
        Place(CANARY, lambda: deploy_canary(models, state), "", poll),
    ]
    while running():
        if live.tend():
            for place in others:
                place.tend()
        sleep(poll, running)


def main() -> None:
    """Run until the parent process ends or SIGTERM comes."""
    log_to_stderr(logger)
    from stores.models import Models  # imports mlflow, which no other process of the service needs

    settings = load()
    follow(Models(settings.registry), settings, until_told())


def _deploy_settled(models: Registry, settings: Settings) -> str | None:
    """The same as `deploy_once`, after the registry was told of a rollback that was made without it."""
    moves.settle(models, settings.service.state, settings.ledger.folder)
    return deploy_once(models, settings.service.state, features.FEATURES, Task.of(schema))


def _fetch(models: Registry, version: str, folder: Path, check: Callable[[Path], object]) -> None:
    """Download aside, check, then move into place: no reader ever sees half a bundle."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as aside:
        models.download(version, Path(aside) / version)
        check(Path(aside) / version)
        os.replace(Path(aside) / version, folder)


def _let_in(models: Registry, state: Path, role: str, version: str) -> None:
    """Point to a version whose bundle is whole; one that isn't is fetched anew the next time."""
    folder = state / BUNDLES / version
    if not folder.exists():
        _fetch(models, version, folder, intact)
    if pointed(state, role) != version:
        try:
            intact(folder)
        except bundle.BrokenBundle:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        write(state / role, version)
    _note_run(models, state, version)


def _noting_refusals(models: Registry, state: Path) -> str | None:
    try:
        return deploy_candidate(models, state)
    except bundle.BrokenBundle as error:
        state.mkdir(parents=True, exist_ok=True)
        write(state / REFUSED, f"{models.version(CANDIDATE)}\n{error}\n")
        (state / CANDIDATE).unlink(missing_ok=True)
        raise


def _note_run(models: Registry, state: Path, version: str) -> None:
    """Leave the version's MLflow run where `explain` finds it without the registry."""
    if not (state / RUNS / version).exists():
        (state / RUNS).mkdir(exist_ok=True)
        write(state / RUNS / version, models.run_of(version))


if __name__ == "__main__":
    main()
