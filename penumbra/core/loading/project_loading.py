"""The loader of a project as a whole: its settings and its `problem/`, which have to fit each other."""

from collections.abc import Sequence

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.metrics.losses import name_compared_loss
from penumbra.core.problem import PROBLEM_PARTS, Problem
from penumbra.core.settings import Settings, SettingsError, find_setting_source, load_settings
from penumbra.core.settings.url_drivers import require_drivers
from penumbra.core.task import Task


def load_project(parts: Sequence[str] = tuple(PROBLEM_PARTS)) -> tuple[Settings, Problem]:
    """Load settings and problem, and check that they fit each other: the loss the target, exploration the decisions.

    The libraries that the settings' URLs take must be installed.

    Args:
        parts: The files of the problem to load; the schema is loaded with any of them.

    Returns:
        Both.

    Raises:
        SettingsError: A setting is wrong, a URL takes a library that isn't installed, the loss is none of such a
            target, or there is no decision to explore; names the setting and its source.
        ProblemError: A file of `problem/` is wrong.
    """
    settings, problem = load_settings(), load_problem(parts)
    require_drivers(settings)
    try:
        name_compared_loss(Task.from_schema(problem.schema), settings.promotion.loss)
    except SettingsError as error:
        raise SettingsError(f"{find_setting_source('promotion.loss')}: {error}") from None
    if "rules" in parts and settings.rules.explore_share and not problem.rules.OBSERVED_DECISIONS:
        raise SettingsError(
            f"{find_setting_source('rules.explore_share')}: rules.explore_share is {settings.rules.explore_share:g}, "
            "and problem/rules.py has no OBSERVED_DECISIONS: expected those under which an outcome can be seen, or 0"
        )
    return settings, problem
