"""How a command that only reads shows what it found."""

import sys
from collections.abc import Callable, Iterable

from penumbra.core.problem import ProblemError
from penumbra.core.settings import Settings, SettingsError, load_settings


def print_report(report: Callable[[Settings], Iterable[str]]) -> None:
    """Print a report, or end with one sentence where settings or problem are wrong.

    Args:
        report: A function of the settings that yields the paragraphs.
    """
    try:
        print("\n\n".join(report(load_settings())))
    except (SettingsError, ProblemError) as error:
        sys.exit(str(error))
