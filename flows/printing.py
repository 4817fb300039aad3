"""How a command that only reads shows what it found."""

import sys
from collections.abc import Callable, Iterable

from settings import Settings, SettingsError, load


def show(report: Callable[[Settings], Iterable[str]]) -> None:
    """Print the report's paragraphs, or end with one sentence where the settings are wrong."""
    try:
        print("\n\n".join(report(load())))
    except SettingsError as error:
        sys.exit(str(error))
