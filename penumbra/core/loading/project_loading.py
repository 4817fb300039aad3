"""The loader of a project as a whole: its settings and its `problem/`, which have to fit each other."""

from collections.abc import Sequence

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.metrics.losses import name_compared_loss
from penumbra.core.problem import PROBLEM_PARTS, Problem
from penumbra.core.settings import Settings, SettingsError, find_setting_source, load_settings
from penumbra.core.settings.url_drivers import require_drivers
from penumbra.core.task import Task


def load_project(parts: Sequence[str] = tuple(PROBLEM_PARTS)) -> tuple[Settings, Problem]:
    """Load settings and problem, which have to fit each other.

    Args:
        parts: The files of the problem to load; the schema is loaded with any of them.

    Returns:
        Both.

    Raises:
        SettingsError: A setting is wrong, or one of those that `load_fitting_problem` refuses.
        ProblemError: A file of `problem/` is wrong.
    """
    settings = load_settings()
    return settings, load_fitting_problem(settings, parts)


def load_fitting_problem(settings: Settings, parts: Sequence[str]) -> Problem:
    """Load the problem, and check that settings fit it: the loss the target, exploration the decisions.

    The libraries that the settings' URLs take must be installed.

    Args:
        settings: All settings.
        parts: The files of the problem to load; the schema is loaded with any of them.

    Returns:
        The problem.

    Raises:
        SettingsError: A URL takes a library that isn't installed, the loss is none of such a target, or there is no
            decision to explore; names the setting and its source.
        ProblemError: A file of `problem/` is wrong.
    """
    problem = load_problem(parts)
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
    return problem
