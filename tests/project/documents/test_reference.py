"""Every setting, command and public module is documented, and the site is built strictly."""

import ast
import os
import re
import subprocess
import sys

import click
import pytest

from docs.api import format_api_pages, list_public_modules
from docs.build import add_toctrees, move_links
from docs.docstrings import convert_markdown_tables
from docs.reference import (
    format_commands_page,
    format_settings_page,
    list_commands,
    load_command_tree,
    read_setting_entries,
)
from penumbra.core.settings import PROJECT_ROOT, Settings
from tests.project.documents.test_docs import DOCUMENTS

SETTINGS = {
    f"{section}.{key}" for section, field in Settings.model_fields.items() for key in field.annotation.model_fields
}


def test_every_setting_has_a_comment_and_a_row_on_its_page():
    entries = read_setting_entries()
    assert {f"{entry.section}.{entry.key}" for entry in entries} == SETTINGS
    assert [entry for entry in entries if not entry.comment] == []
    page = format_settings_page(entries)
    assert {setting for setting in SETTINGS if f"| `{setting}` |" not in page} == set()


def test_a_comment_may_go_on_below_its_setting(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(
        '[rules]\nname = "a#b"  # first\n               # second\nbare = 1\n\n[log]\nlist = [  # words\n  "x",\n]\n'
    )
    assert [(each.section, each.key, each.value, each.comment) for each in read_setting_entries(file)] == [
        ("rules", "name", "a#b", "first second"),
        ("rules", "bare", 1, ""),
        ("log", "list", ["x"], "words"),
    ]


@click.group()
def tool():
    """Do things."""


@tool.command()
@click.option("--loudly", is_flag=True, help="So that everybody hears.")
def sing(loudly):
    """Sing a song."""


def test_the_page_of_commands_has_the_help_of_each():
    assert [name for name, _ in list_commands(tool, "penumbra")] == ["penumbra", "penumbra sing"]
    page = format_commands_page(tool)
    assert "## penumbra sing" in page
    assert "So that everybody hears." in page


COMMANDS = dict(list_commands(load_command_tree(), "penumbra"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_all_but_the_group_an_example(name):
    command = COMMANDS[name]
    assert command.help
    if not isinstance(command, click.Group):
        text = command.get_help(click.Context(command, info_name=name))
        assert re.search(rf"Example:\n.*\b{name}\b", text)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_has_help(name):
    options = [each for each in COMMANDS[name].params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []


def invocations(text: str) -> list[str]:
    """What a document calls on the command line: after a prompt, or quoted."""
    return re.findall(r"(?:bin/|`)penumbra ([^`\n]*)", "\n".join(re.findall(r"`[^`\n]+`|^\$ .*$", text, re.M)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_option_that_a_document_names_exists(document):
    unknown = []
    for call in invocations(document.read_text()):
        words = re.findall(r"[\w-]+", call)
        name = next(
            (name for size in (2, 1) if (name := " ".join(["penumbra", *words[:size]])) in COMMANDS), "penumbra"
        )
        options = {option for each in COMMANDS[name].params for option in [*each.opts, *each.secondary_opts]} | {
            "--help"
        }
        known = name != "penumbra" or not words or words[0].startswith("-")
        if not known or {word for word in words if word.startswith("--")} - options:
            unknown.append(call)
    assert unknown == []


def first_line(module: str) -> str:
    path = PROJECT_ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0]


@pytest.mark.slow
def test_every_public_module_has_a_docstring():
    assert [module for module in list_public_modules() if not first_line(module)] == []


def test_every_public_module_has_a_place_in_the_api_reference():
    modules = list_public_modules()
    pages = format_api_pages(modules)
    places = re.findall(r"automodule:: (\S+)", "\n".join(pages.values()))
    assert sorted(places) == modules
    assert set(re.findall(r"\(([\w.]+)\.md\)", pages["index"])) == pages.keys() - {"index"}


def test_links_between_the_repositorys_folders_lead_to_pages_side_by_side():
    assert move_links("[a](docs/data.md#x) [b](../README.md) ![c](docs/loop.svg)") == (
        "[a](data.md#x) [b](README.md) ![c](loop.svg)"
    )


def test_the_navigation_has_what_the_first_page_links_to():
    index = "# Title\n\n## Use\n\n- [Data](data.md): versions\n- [The API](api/index.md)\n"
    assert add_toctrees(index).endswith(
        "```{toctree}\n:hidden:\n:caption: Use\n\nData <data>\nThe API <api/index>\n```\n"
    )


def test_a_markdown_table_in_a_docstring_becomes_a_table_of_restructuredtext():
    lines = ["Kinds.", "", "| kind | dtype |", "|---|---|", "| binary | bool |", "", "More."]
    convert_markdown_tables(None, "function", "f", None, None, lines)
    table = [".. list-table::", "   :header-rows: 1", "", "   * - kind", "     - dtype", "   * - binary", "     - bool"]
    assert lines[:2] + ["", *table, ""] == lines[: len(table) + 4]
    assert "More." in lines


# Builds a site of the pages in a folder, as strictly as the real one.
BUILD = """
import sys
from pathlib import Path
from docs.build import run_sphinx
sys.exit(run_sphinx(Path("sources").absolute(), Path("site").absolute()))
"""


def build_site(folder, page: str) -> subprocess.CompletedProcess[str]:
    (folder / "sources").mkdir()
    (folder / "sources" / "index.md").write_text(page)
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    return subprocess.run([sys.executable, "-c", BUILD], cwd=folder, env=environ, capture_output=True, text=True)


@pytest.mark.slow
def test_a_page_without_faults_is_built_and_loads_nothing_from_elsewhere(tmp_path):
    done = build_site(tmp_path, "# Title\n\n[there](#title)\n")
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "site" / "index.html").read_text()
    assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]*\.(?:js|css|woff2?|png|svg)', html) == []


@pytest.mark.slow
def test_a_dead_link_fails_the_build(tmp_path):
    done = build_site(tmp_path, "# Title\n\n[a](no-page.md) [b](#no-anchor) ![c](no-picture.svg)\n")
    assert done.returncode == 1
    assert [name for name in ("no-page", "no-anchor", "no-picture") if name not in done.stderr] == []
