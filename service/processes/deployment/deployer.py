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
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings, load_settings
from penumbra.core.text.errors import describe_error
from penumbra.registry import aliases
from penumbra.registry.bundles import bundle
from penumbra.registry.history.shared_ledger import BRIEF_PATIENCE_SECONDS, open_ledger
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS, REFUSED_FILE
from penumbra.registry.stored_registry import StoredRegistry
from penumbra.storage.sealed import remove_sealed_file, replace_sealed_file
from service.processes.deployment import live_notes
from service.processes.deployment.rollback_watch import start_following_rollbacks
from service.processes.deployment.state_watch import StateWatch, list_bundles
from service.processes.deployment.version_deployment import (
    DeployRegistry,
    deploy_canary,
    deploy_candidate,
    deploy_live,
    deploy_previous,
    discard_damaged_bundle,
    record_unfit_versions,
)
from service.processes.workers.process_control import log_to_stderr, make_running_check, sleep_while_running

MAX_DEPLOY_WAIT_SECONDS = 15.0

logger = logging.getLogger("service.processes.deployment.deployer")


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
