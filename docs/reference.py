"""The generated pages of the reference: every setting, and every command."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from penumbra.core.settings import ENV_PREFIX, PROJECT_ROOT

HELP_WIDTH = 120
SETTINGS_FILE = PROJECT_ROOT / "settings.toml"
SECTION_LINE = re.compile(r"\[(\w+)\]\s*(?:#\s*(.*))?")
SETTING_LINE = re.compile(r"""(\w+)\s*=\s*(?:"[^"]*"|[^"#])*(?:#\s*(.*))?""")


@dataclass(frozen=True)
class SettingEntry:
    """A setting of `settings.toml`: its section and key, the value that it ships with, and its comment."""

    section: str
    key: str
    value: object
    comment: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return f"{ENV_PREFIX}{self.section}__{self.key}".upper()


def read_setting_entries(path: Path = SETTINGS_FILE) -> list[SettingEntry]:
    """Read the settings with their comments.

    Args:
        path: A TOML file in the form of `settings.toml`: a comment stands behind its setting, and may go on in lines of
            its own below.

    Returns:
        The settings in the order of the file; the comment is empty where there is none.
    """
    text = path.read_text(encoding="utf-8")
    comments: dict[tuple[str, str], list[str]] = {}
    section, key = "", ""
    for line in text.splitlines():
        if match := SECTION_LINE.fullmatch(line):
            section, key = match[1], ""
        elif match := SETTING_LINE.fullmatch(line):
            key = match[1]
            comments[section, key] = [match[2]] if match[2] else []
        elif key and line.strip().startswith("#"):
            comments[section, key].append(line.strip().removeprefix("#").strip())
        elif not line.strip():
            key = ""
    return [
        SettingEntry(section, key, value, " ".join(comments[section, key]))
        for section, values in tomllib.loads(text).items()
        for key, value in values.items()
    ]


def format_settings_page(entries: list[SettingEntry]) -> str:
    """Format the page of every setting, a table for each section.

    Args:
        entries: The settings, in the order in which they are to be listed.

    Returns:
        The page in Markdown.
    """
    page = [
        "# Settings",
        "",
        f"Every setting of `settings.toml`, with the value that it ships with. `{ENV_PREFIX}SECTION__KEY` in the "
        f"environment, in capitals, overrides one, as in `{ENV_PREFIX}DATA__TODAY=2024-05-01 make train`.",
    ]
    for section in dict.fromkeys(entry.section for entry in entries):
        page += ["", f"## {section}", "", "| setting | value | meaning |", "|---|---|---|"]
        page += [
            f"| `{entry.section}.{entry.key}` | `{_format_value(entry.value)}` | {escape_cell(entry.comment)} |"
            for entry in entries
            if entry.section == section
        ]
    return "\n".join(page) + "\n"


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_format_value(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def escape_cell(text: str) -> str:
    """Escape what Markdown would read as markup in the cell of a table.

    Args:
        text: Plain text, such as a comment.

    Returns:
        The text with a backslash before such characters.
    """
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)


def load_command_tree() -> click.Command:
    """Import the command `penumbra`, as pyproject.toml names it.

    Returns:
        The group of all commands.
    """
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["scripts"]["penumbra"].partition(":")
    command = getattr(importlib.import_module(module), name)
    assert isinstance(command, click.Command)
    return command


def list_commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Walk through a tree of commands.

    Args:
        command: The command at its top, or a group of them.
        name: What it is called on the command line.

    Yields:
        Each command with its full name (`penumbra bench serve`), groups before what is in them.
    """
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for child in command.list_commands(context):
            if (found := command.get_command(context, child)) and not found.hidden:
                yield from list_commands(found, f"{name} {child}")


def format_commands_page(root: click.Command) -> str:
    """Format the page of every command: what `--help` prints.

    Args:
        root: The command `penumbra`.

    Returns:
        The page in Markdown.
    """
    page = ["# Commands", "", "What `--help` says of each. On a fresh clone the command is `bin/penumbra`."]
    for name, command in list_commands(root, "penumbra"):
        layout = {**command.context_settings, "terminal_width": HELP_WIDTH, "max_content_width": HELP_WIDTH}
        with click.Context(command, info_name=name, **layout) as context:
            page += ["", f"## {name}", "", "```text", command.get_help(context), "```"]
    return "\n".join(page) + "\n"
