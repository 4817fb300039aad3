"""The examples of the documentation's pages are run, print what the pages say, and show every building block."""

import dataclasses
import doctest
import re
import tomllib

import pytest

from penumbra import features, patterns, rules, sources
from penumbra.core.settings import PROJECT_ROOT, Settings

PAGES = {path.stem: path.read_text() for path in sorted((PROJECT_ROOT / "docs").glob("*.md"))}
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NO_BLOCKS = {
    "ColumnCheck",
    "Columns",
    "Feature",
    "MADE_UP_TIME",
    "ModelPriors",
    "Record",
}  # types that a page has no example for


def keep_blocks(page: str, language: str) -> str:
    """A page of which only the lines in blocks of a language are left, each at its place."""
    kept, inside = [], ""
    for line in PAGES[page].splitlines():
        fence = re.fullmatch(r"```(\w*)", line)
        inside = "" if fence and inside else fence[1] if fence else inside
        kept.append(line if inside == language and not fence else "")
    return "\n".join(kept) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if "```pycon" in PAGES[page]])
def test_the_examples_of_a_page_print_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("penumbra.sources.tables.locations.find_project_root", lambda: tmp_path)
    examples = doctest.DocTestParser().get_doctest(keep_blocks(page, "pycon"), {}, page, f"docs/{page}.md", 0)
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(examples, out=report.append)
    assert result.attempted
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("page", [page for page in PAGES if "```toml" in PAGES[page]])
def test_the_settings_in_a_page_can_be_set(page):
    for block in re.findall(r"^```toml\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE):
        settings = tomllib.loads((PROJECT_ROOT / "settings.toml").read_text())
        for section, values in tomllib.loads(block).items():
            settings[section] |= values
        Settings.model_validate(settings)


def test_every_building_block_has_an_example():
    shown = set(re.findall(r"\b(\w+)\(", keep_blocks("building-blocks", "pycon")))
    of_rules = {name for name, each in vars(rules).items() if dataclasses.is_dataclass(each)}
    assert {*features.__all__, *patterns.__all__, *sources.__all__, *of_rules} - NO_BLOCKS - shown == set()
