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
    """Load settings and problem, and check that predictions of the target can be judged by `promotion.loss`.

    Args:
        parts: The files of the problem to load; the schema is loaded with any of them.

    Returns:
        Both.

    Raises:
        SettingsError: A setting is wrong, or the loss is none of such a target; names the setting and its source.
        ProblemError: A file of `problem/` is wrong.
    """
    settings, problem = load_settings(), load_problem(parts)
    try:
        name_compared_loss(Task.from_schema(problem.schema), settings.promotion.loss)
    except SettingsError as error:
        variable = find_setting_variable("promotion.loss")
        source = f"environment variable {variable}" if variable else PROJECT_ROOT / SETTINGS_FILE
        raise SettingsError(f"{source}: {error}") from None
    return settings, problem
