"""The deployer, a process of its own: brings the version behind the registry's alias "live" to where workers find it.

Only this process talks to the registry; while that is away, the workers go on with what they have.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from kinds import Kind
from problem import features
from service.background import log_to_stderr, sleep, until_told
from service.live import POINTER, PREVIOUS, pointed
from settings import Settings, load
from stores import bundle
from stores.lineage import BUNDLES, RUNS

ALIAS = "live"
LONGEST_WAIT_SECONDS = 15.0

logger = logging.getLogger("service.deploy")


class Registry(Protocol):
    """What is asked of `stores.models.Models`."""

    def version(self, alias: str) -> str | None: ...

    def run_of(self, name: str) -> str: ...

    def download(self, version: str, folder: Path) -> None: ...


def deploy_once(models: Registry, state: Path, kinds: Sequence[Kind]) -> str | None:
    """Make the registry's live version the one that the workers see; return it, or None where there is none.

    Raises bundle.BrokenBundle where the version can't be served, and whatever the registry raises.
    """
    version = models.version(ALIAS)
    if version is None:
        return None
    folder = state / BUNDLES / version
    if not folder.exists():
        _fetch(models, version, folder, kinds)
    old = pointed(state)
    if old != version:
        bundle.read(folder, kinds, version)
        if old is not None:
            _write(state / PREVIOUS, old)
        _write(state / POINTER, version)
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


def follow(models: Registry, settings: Settings, running: Callable[[], bool]) -> None:
    """Deploy again and again; say something only when something changes, wait longer while it fails."""
    service, said, wait = settings.service, "", settings.service.poll_seconds
    discard_damaged(service.state, features.FEATURES)
    while running():
        try:
            version = deploy_once(models, service.state, features.FEATURES)
            say = f"version {version} is deployed" if version else "the registry has no live model yet: `make train`"
            wait = service.poll_seconds
        except Exception as error:
            say = f"deploying failed, trying again: {type(error).__name__}: {error}"
            wait = min(wait * 2, max(LONGEST_WAIT_SECONDS, service.poll_seconds))
        if say != said:
            logger.info(say)
            said = say
        sleep(wait, running)


def main() -> None:
    """Run until the parent process ends or SIGTERM comes."""
    log_to_stderr(logger)
    from stores.models import Models  # imports mlflow, which no other process of the service needs

    settings = load()
    follow(Models(settings.registry), settings, until_told())


def _fetch(models: Registry, version: str, folder: Path, kinds: Sequence[Kind]) -> None:
    """Download aside, check, then move into place: no reader ever sees half a bundle."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as aside:
        models.download(version, Path(aside) / version)
        bundle.read(Path(aside) / version, kinds, version)
        os.replace(Path(aside) / version, folder)


def _note_run(models: Registry, state: Path, version: str) -> None:
    """Leave the version's MLflow run where `explain` finds it without the registry."""
    if not (state / RUNS / version).exists():
        (state / RUNS).mkdir(exist_ok=True)
        _write(state / RUNS / version, models.run_of(version))


def _write(path: Path, content: str) -> None:
    """Replace a file as a whole."""
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    aside.write_text(content)
    os.replace(aside, path)


if __name__ == "__main__":
    main()
