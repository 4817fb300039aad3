"""How a command that only reads shows what it found."""

import sys
from collections.abc import Callable, Iterable

from penumbra.core.settings import Settings, SettingsError, load_settings


def print_report(report: Callable[[Settings], Iterable[str]]) -> None:
    """Print the report's paragraphs, or end with one sentence where the settings are wrong."""
    try:
        print("\n\n".join(report(load_settings())))
    except SettingsError as error:
        sys.exit(str(error))
