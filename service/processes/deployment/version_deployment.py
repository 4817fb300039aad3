"""What becomes of a version that an alias of the registry names: its bundle is downloaded, and a role points to it."""

import logging
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from penumbra.core.problem import Problem
from penumbra.registry import aliases
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.fetching import fetch_bundle, record_run_id
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle, read_manifest, verify_bundle
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
from penumbra.storage.sealed import remove_sealed_file, replace_sealed_file
from service.processes.deployment import live_notes
from service.processes.deployment.state_watch import list_bundles

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
