"""Passes of `make promote` on the versions of a temporary folder."""

import datetime as dt
from pathlib import Path

from flows.steps.promote import verdicts
from flows.steps.promote.verdicts import ForcedPromotion
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.core.settings import Settings
from tests.helpers.models import registered_versions

PROBLEM = load_checked_problem()


def run_promotion(
    folder: Path, forced: ForcedPromotion | None = None, now: dt.datetime = registered_versions.NOW
) -> str:
    """Run a pass with the settings of a folder's registry.

    Args:
        folder: The temporary folder.
        forced: A promotion by force; None to go by the evidence.
        now: The time of the pass (UTC).

    Returns:
        What the pass says.
    """
    return run_promotion_pass(registered_versions.make_registry_settings(folder), forced, now)


def run_promotion_pass(
    settings: Settings, forced: ForcedPromotion | None = None, now: dt.datetime = registered_versions.NOW
) -> str:
    """Run a pass.

    Args:
        settings: All settings.
        forced: A promotion by force; None to go by the evidence.
        now: The time of the pass (UTC).

    Returns:
        What the pass says.
    """
    aliases = verdicts.prepare_aliases(settings)
    return verdicts.act_on_cases(settings, verdicts.judge_cases(settings, PROBLEM, aliases, forced, now))
