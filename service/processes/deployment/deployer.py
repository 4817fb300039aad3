"""The deployer process: downloads the versions behind the registry's aliases to the service's state folder.

Only this process talks to the registry. While the registry is away, workers and shadow continue with what they have.

| file in the state folder          | content                                                                        |
|-----------------------------------|--------------------------------------------------------------------------------|
| live, candidate, previous, canary | the versions, replaced as a whole (see service/inference/models)               |
| rolled-back, canary-ended         | changes to report to the registry (penumbra/registry/pointers.py)              |
| refused                           | the candidate that is not let into the shadow, with the reason                 |
| live-refused                      | why the registry's live version isn't deployed, or not yet; that it has none   |
| unfit/<version>                   | why a version that is here can't answer with this code                         |
"""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings, load_settings
from penumbra.core.text.errors import describe_error
from penumbra.registry import aliases
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.fetching import fetch_bundle, record_run_id
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle, read_manifest, verify_bundle
from penumbra.registry.history.shared_ledger import BRIEF_PATIENCE_SECONDS, open_ledger
from penumbra.registry.pointers import (
    BUNDLES_FOLDER,
    CANARY_ALIAS,
    CANDIDATE_ALIAS,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    REFUSED_FILE,
    UNFIT_FOLDER,
    read_ended_canary,
    read_pointer,
    swap_live_pointer,
)
from penumbra.registry.stored_registry import StoredRegistry
from penumbra.storage.sealed import remove_sealed_file, replace_sealed_file
from service.processes.deployment import live_notes
from service.processes.deployment.rollback_watch import start_following_rollbacks
from service.processes.deployment.state_watch import StateWatch, list_bundles
from service.processes.workers.process_control import log_to_stderr, make_running_check, sleep_while_running

MAX_DEPLOY_WAIT_SECONDS = 15.0

logger = logging.getLogger("service.processes.deployment.deployer")


class DeployRegistry(aliases.AliasRegistry, Protocol):
    """The part of `penumbra.registry.models.ModelRegistry` that the deployer uses."""

    @property
    def signed_by(self) -> Sequence[str]:
        """The settings' `registry.signed_by`."""

    def version(self, alias: str) -> str | None:
        """Return the version that an `alias` names, or None."""

    def find_run_id(self, name: str) -> str:
        """Return the id of the MLflow run that made the version `name`."""

    def download(self, version: str, folder: Path) -> None:
        """Download the bundle of a `version` to a new `folder`."""


def deploy_live(models: DeployRegistry, state: Path, problem: Problem) -> str | None:
    """Make the registry's live version the one that the workers load; the one before stays where that can't be.

    Args:
        models: The registry.
        state: The service's state folder.
        problem: The problem, with schema and features.

    Returns:
        The live version, or None where the registry names none.

    Raises:
        BrokenBundle: The version is damaged. Whatever the registry raises is raised too.
        UnfitBundle: The problem has changed so that the version can't answer; the reason is left for the workers.
    """
    old, version = read_pointer(state), models.version(LIVE_ALIAS)
    if old is None:
        live_notes.note_absence(state, version)
    if version is None:
        return None
    folder = state / BUNDLES_FOLDER / version
    require_usable = partial(live_notes.require_usable, state, problem, version, models.signed_by)
    if not folder.exists():
        fetch_bundle(models, version, folder, require_usable)
    if old != version:
        require_usable(folder)
        if not swap_live_pointer(state, old, version):  # rolled back since the registry was read
            return read_pointer(state)
    record_run_id(models, state, version)
    return version


def discard_damaged_bundle(state: Path, problem: Problem) -> None:
    """Remove the live bundle where it is damaged, so that it is downloaded anew and the workers load it again.

    Args:
        state: The service's state folder.
        problem: The problem, with schema and features; a bundle that doesn't fit it isn't damaged.
    """
    version = read_pointer(state)
    if version is None:
        return
    try:
        bundle.read_bundle(state / BUNDLES_FOLDER / version, problem, version)
    except UnfitBundle as error:
        logger.error("%s", error)
    except Exception as error:
        logger.error("the bundle of the live version %s is damaged and is fetched again: %s", version, error)
        shutil.rmtree(state / BUNDLES_FOLDER / version, ignore_errors=True)
        remove_sealed_file(state / LIVE_ALIAS)


def record_unfit_versions(state: Path, problem: Problem) -> None:
    """Record which of the versions that are here can't answer with this code: a rollback has no time to find out.

    Args:
        state: The service's state folder.
        problem: The problem, with schema and features.
    """
    for folder in list_bundles(state):
        reason = state / UNFIT_FOLDER / folder.name
        try:
            bundle.read_bundle_features(read_manifest(folder), problem, folder.name)
            remove_sealed_file(reason)
        except UnfitBundle as unfit:
            reason.parent.mkdir(exist_ok=True)
            replace_sealed_file(reason, str(unfit))
        except BrokenBundle:  # found whenever it is to answer
            continue


def deploy_candidate(models: DeployRegistry, state: Path) -> str | None:
    """Let the registry's candidate into the shadow, unless it is the live version.

    Its bundle is not run here: that is left to the shadow, where it can do no harm.

    Args:
        models: The registry.
        state: The service's state folder.

    Returns:
        The candidate's version, or None where there is none.

    Raises:
        BrokenBundle: The bundle isn't what was registered. Whatever the registry raises is raised too.
    """
    version = models.version(CANDIDATE_ALIAS)
    if version is None or version == read_pointer(state):
        remove_sealed_file(state / CANDIDATE_ALIAS)
        version = None
    else:
        _deploy_version(models, state, CANDIDATE_ALIAS, version)
    remove_sealed_file(state / REFUSED_FILE)
    return version


def deploy_previous(models: DeployRegistry, state: Path) -> str | None:
    """Deploy the version before the live one: the registry's, or else the one that was live here before.

    Args:
        models: The registry.
        state: The service's state folder.

    Returns:
        The previous version, or None where there is none.

    Raises:
        BrokenBundle: The bundle isn't what was registered. Whatever the registry raises is raised too.
    """
    version = models.version(PREVIOUS_ALIAS) or read_pointer(state, PREVIOUS_ALIAS)
    if version is None or version == read_pointer(state):
        return None
    _deploy_version(models, state, PREVIOUS_ALIAS, version)
    return version


def deploy_canary(models: DeployRegistry, state: Path) -> str | None:
    """Deploy the version that answers a share of the keys; the canary ends as soon as the registry names none.

    Args:
        models: The registry.
        state: The service's state folder.

    Returns:
        The canary's version, or None where there is none.

    Raises:
        BrokenBundle: The bundle isn't what was registered. Whatever the registry raises is raised too.
    """
    version = models.version(CANARY_ALIAS)
    if version in (None, read_pointer(state), read_ended_canary(state)):
        remove_sealed_file(state / CANARY_ALIAS)
        return None
    _deploy_version(models, state, CANARY_ALIAS, version)
    return version


@dataclass
class AliasDeployment:
    """Deploys the version of one alias at intervals; logs changes only, and waits longer while deployment fails."""

    name: str
    deploy: Callable[[], str | None]
    absent_message: str
    poll_seconds: float
    message: str = ""
    due: float = 0.0
    wait: float = 0.0
    has_version: bool = False

    def deploy_if_due(self) -> bool:
        """Deploy if it is time to.

        Returns:
            True if there is a version for the alias.
        """
        if time.monotonic() < self.due:
            return self.has_version
        try:
            version, self.wait = self.deploy(), self.poll_seconds
            message = f"version {version} is {self.name}" if version else self.absent_message
            self.has_version = version is not None
        except Exception as error:
            message, self.has_version = f"deploying {self.name} failed, trying again: {describe_error(error)}", False
            self.wait = min(max(self.wait, self.poll_seconds) * 2, max(MAX_DEPLOY_WAIT_SECONDS, self.poll_seconds))
        if message != self.message:
            logger.info(message or f"there is no {self.name} any more")
        self.message, self.due = message, time.monotonic() + self.wait
        return self.has_version


def run_deployer(models: DeployRegistry, settings: Settings, problem: Problem, running: Callable[[], bool]) -> None:
    """Deploy all aliases at intervals.

    Where the registry has no live version, the other aliases are left alone: the registry may be an empty one in the
    place of one that was lost.

    Args:
        models: The registry.
        settings: Sections `service` and `ledger` are read.
        problem: The problem, with schema and features.
        running: Returns False when it is time to stop.
    """
    state, poll = settings.service.state, settings.service.poll_seconds
    discard_damaged_bundle(state, problem)
    deploy = partial(_sync_and_deploy_live, models, settings, problem)
    live = AliasDeployment(LIVE_ALIAS, deploy, live_notes.NO_REGISTERED_MODEL, poll)
    others = [
        AliasDeployment(CANDIDATE_ALIAS, lambda: _deploy_or_refuse_candidate(models, state), "", poll),
        AliasDeployment(PREVIOUS_ALIAS, lambda: deploy_previous(models, state), "", poll),
        AliasDeployment(CANARY_ALIAS, lambda: deploy_canary(models, state), "", poll),
    ]
    checked, watch = list[Path](), StateWatch(state)
    while running():
        watch.check()
        if live.deploy_if_due():
            for deployment in others:
                deployment.deploy_if_due()
        if (bundles := list_bundles(state)) != checked:
            record_unfit_versions(state, problem)
            checked = bundles
        sleep_while_running(poll, running)


def main() -> None:
    """Run the deployer until the parent process ends or SIGTERM arrives."""
    log_to_stderr(logger)
    settings = load_settings()
    live_notes.forget_absence(settings.service.state)
    running = make_running_check(hard=True)
    start_following_rollbacks(settings, running)
    run_deployer(StoredRegistry(settings.registry), settings, load_problem(SERVED_PARTS), running)


def _sync_and_deploy_live(models: DeployRegistry, settings: Settings, problem: Problem) -> str | None:
    """Report rollbacks that were made without the registry to it, then deploy its live version."""
    aliases.sync_registry(models, settings.service.state, open_ledger(settings, BRIEF_PATIENCE_SECONDS))
    return deploy_live(models, settings.service.state, problem)


def _deploy_version(models: DeployRegistry, state: Path, role: str, version: str) -> None:
    """Point a role to a version whose bundle is complete; remove a damaged bundle, to be downloaded again."""
    folder = state / BUNDLES_FOLDER / version
    if not folder.exists():
        fetch_bundle(models, version, folder, lambda aside: verify_bundle(aside, models.signed_by))
    if read_pointer(state, role) != version:
        try:
            verify_bundle(folder, models.signed_by)
        except bundle.BrokenBundle:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        replace_sealed_file(state / role, version)
    record_run_id(models, state, version)


def _deploy_or_refuse_candidate(models: DeployRegistry, state: Path) -> str | None:
    try:
        return deploy_candidate(models, state)
    except bundle.BrokenBundle as error:
        state.mkdir(parents=True, exist_ok=True)
        replace_sealed_file(state / REFUSED_FILE, f"{models.version(CANDIDATE_ALIAS)}\n{error}\n")
        remove_sealed_file(state / CANDIDATE_ALIAS)
        raise


if __name__ == "__main__":
    main()
