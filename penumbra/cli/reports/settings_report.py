"""The effective settings, each with where its value comes from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from penumbra.core.settings import find_setting_variable, load_settings

FILE_SOURCE = "settings.toml"


class EffectiveSetting(NamedTuple):
    """A setting's dotted name, its value of JSON's types, and `settings.toml` or the name of a variable."""

    name: str
    value: Any
    source: str


def list_settings() -> list[EffectiveSetting]:
    """List all settings as they take effect.

    Returns:
        In the order of the settings' types; secrets in addresses are masked.

    Raises:
        SettingsError: The file or a variable is wrong.
    """
    sections = load_settings().describe_sections()
    return [
        EffectiveSetting(name, value, find_setting_variable(name) or FILE_SOURCE)
        for section, values in sections.items()
        for name, value in ((f"{section}.{key}", value) for key, value in values.items())
    ]


def format_settings(settings: Sequence[EffectiveSetting]) -> str:
    """Format settings as a table; the source is named where it isn't the file.

    Args:
        settings: What `list_settings` returns.

    Returns:
        A line for each setting.
    """
    width = max(len(setting.name) for setting in settings)
    return "\n".join(
        f"{setting.name:<{width}}  {_format_value(setting.value)}"
        + ("" if setting.source == FILE_SOURCE else f"  ({setting.source})")
        for setting in settings
    )


def _format_value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value) or '""'
