"""The versions that answer tables: brought here from the registry when a run begins, and followed while it lasts."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.registry.bundles.manifest import BrokenBundle
from penumbra.registry.pointers import LIVE_ALIAS
from service.inference.runs.frame_scoring import NoLiveModel

if TYPE_CHECKING:
    from penumbra.registry.models import ModelRegistry

POLL_MULTIPLE = 10  # of the deployer's interval, as many machines may score at once
JOIN_SECONDS = 1.0  # a registry that doesn't answer keeps no run from its end
NO_LIVE_VERSION = "no version is live: train one, or promote one"

logger = logging.getLogger("flows.steps.score")


@contextlib.contextmanager
def follow_live_versions(settings: Settings, problem: Problem) -> Iterator[None]:
    """Bring the versions that answer to the service's state folder for the block, as its deployer does.

    These are live, previous and canary; a canary that the registry names no more ends there, too. What is moved in the
    registry within the block is brought by a thread. Whatever fails there is tried again, and what is here goes on.
    Without a registry, as in a bento, what is here is used.

    Args:
        settings: Sections [registry] and [service] are read.
        problem: The problem, with schema and features.

    Yields:
        Nothing, once the versions are here.

    Raises:
        NoLiveModel: No version is live.
        BrokenBundle: The live version is damaged. What the registry raises is raised too.
        UnfitBundle: The problem has changed so that the version can't answer.
    """
    if not settings.registry.tracking:
        yield
        return
    from penumbra.registry.models import ModelRegistry
    from service.processes.deployment.version_deployment import discard_damaged_bundle

    models, has_ended = ModelRegistry(settings.registry), threading.Event()
    settings.service.state.mkdir(parents=True, exist_ok=True)
    discard_damaged_bundle(settings.service.state, problem)
    if _deploy_versions(models, settings, problem) is None:
        raise NoLiveModel(NO_LIVE_VERSION)
    follower = threading.Thread(target=_follow_registry, args=(models, settings, problem, has_ended), daemon=True)
    follower.start()
    try:
        yield
    finally:
        has_ended.set()
        follower.join(JOIN_SECONDS)


def _deploy_versions(models: "ModelRegistry", settings: Settings, problem: Problem) -> str | None:
    """Deploy what the registry names; returns the live version, None where there is none.

    As in the service, one of the others that is damaged is logged, and keeps the live version from nothing.
    """
    from service.processes.deployment.version_deployment import deploy_canary, deploy_live, deploy_previous

    state = settings.service.state
    if version := deploy_live(models, state, problem):
        for deploy in (deploy_previous, deploy_canary):
            try:
                deploy(models, state)
            except BrokenBundle as error:
                logger.error("%s", error)
    return version


def _follow_registry(models: "ModelRegistry", settings: Settings, problem: Problem, has_ended: threading.Event) -> None:
    from service.processes.deployment.deployer import AliasDeployment

    deploy, seconds = (
        partial(_deploy_versions, models, settings, problem),
        settings.service.poll_seconds * POLL_MULTIPLE,
    )
    deployment = AliasDeployment(LIVE_ALIAS, deploy, NO_LIVE_VERSION, seconds)
    while not has_ended.wait(seconds):
        deployment.deploy_if_due()
