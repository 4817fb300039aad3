"""The loader of a project as a whole: its settings and its `problem/`, which have to fit each other."""

from collections.abc import Sequence

from penumbra.core.metrics.losses import name_compared_loss
from penumbra.core.problem import PROBLEM_PARTS, Problem
from penumbra.core.problem_loading import load_problem
from penumbra.core.settings import (
    PROJECT_ROOT,
    SETTINGS_FILE,
    Settings,
    SettingsError,
    find_setting_variable,
    load_settings,
)
from penumbra.core.task import Task


def load_project(parts: Sequence[str] = tuple(PROBLEM_PARTS)) -> tuple[Settings, Problem]:
    """Load settings and problem, and check that they fit each other: the loss the target, exploration the decisions.

    Args:
        parts: The files of the problem to load; the schema is loaded with any of them.

    Returns:
        Both.

    Raises:
        SettingsError: A setting is wrong, the loss is none of such a target, or there is no decision to explore; names
            the setting and its source.
        ProblemError: A file of `problem/` is wrong.
    """
    settings, problem = load_settings(), load_problem(parts)
    try:
        name_compared_loss(Task.from_schema(problem.schema), settings.promotion.loss)
    except SettingsError as error:
        raise SettingsError(f"{_name_source('promotion.loss')}: {error}") from None
    if "rules" in parts and settings.rules.explore_share and not problem.rules.OBSERVED_DECISIONS:
        raise SettingsError(
            f"{_name_source('rules.explore_share')}: rules.explore_share is {settings.rules.explore_share:g}, and "
            "problem/rules.py has no OBSERVED_DECISIONS: expected those under which an outcome can be seen, or 0"
        )
    return settings, problem


def _name_source(setting: str) -> str:
    """Name the environment variable or the file that gives a setting."""
    variable = find_setting_variable(setting)
    return f"environment variable {variable}" if variable else str(PROJECT_ROOT / SETTINGS_FILE)
