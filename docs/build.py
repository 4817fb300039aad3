"""`python -m docs.build [FOLDER]`: the documentation as a site that works offline, built strictly.

The pages of `docs/`, README, SECURITY, CONTRIBUTING and CHANGELOG, and the generated pages (settings, commands, API
reference) are put into one folder of sources, which Sphinx makes HTML of. Any warning ends the build with exit code 1.
"""

import argparse
import re
import shutil
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.api import format_api_pages, list_public_modules
from docs.reference import (
    format_commands_page,
    format_settings_page,
    load_command_tree,
    read_setting_entries,
)
from penumbra.core.settings import PROJECT_ROOT

DOCS_FOLDER = PROJECT_ROOT / "docs"
SITE_FOLDER = PROJECT_ROOT / "var" / "docs"
ENGINE_README = "PENUMBRA.md"  # of a generated project, where README.md is the team's
ROOT_PAGES = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
REFERENCE_SECTION = """
## Reference

- [Commands](commands.md): what `--help` says of each
- [Settings](settings.md): every setting with its default
- [API](api/index.md): every public module
"""


def build_docs(folder: Path = SITE_FOLDER) -> int:
    """Build the site.

    Args:
        folder: Where it goes; `index.html` in it is the first page. What was there is replaced.

    Returns:
        Sphinx' exit code: 0 if there was neither an error nor a warning.
    """
    with tempfile.TemporaryDirectory() as work:
        sources, site = Path(work, "sources"), Path(work, "site")
        write_sources(sources)
        if code := run_sphinx(sources, site):
            return code
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(site, folder)
    return 0


def run_sphinx(sources: Path, site: Path) -> int:
    """Make HTML of a folder of pages, with every warning an error.

    Args:
        sources: The folder with the pages; `index.md` is the first.
        site: Where the HTML goes.

    Returns:
        Sphinx' exit code: 0 if there was neither an error nor a warning.
    """
    strict = ["-W", "--keep-going", "-n", "-q", "-E"]
    folders = ["-c", str(DOCS_FOLDER), "-d", str(site.with_name("doctrees")), str(sources), str(site)]
    return build_main([*strict, "-b", "html", *folders])


def write_sources(folder: Path) -> None:
    """Put all pages, written and generated, into one folder.

    Args:
        folder: Where the sources go; it is made.
    """
    (folder / "api").mkdir(parents=True)
    pages = {path.name: path for path in [*DOCS_FOLDER.glob("*.md"), *(PROJECT_ROOT / name for name in ROOT_PAGES)]}
    if (PROJECT_ROOT / ENGINE_README).exists():
        pages["README.md"] = PROJECT_ROOT / ENGINE_README
    for name, path in pages.items():
        text = move_links(path.read_text(encoding="utf-8"))
        if name == "index.md":
            text = add_toctrees(text + REFERENCE_SECTION)
        (folder / name).write_text(text, encoding="utf-8")
    for picture in DOCS_FOLDER.glob("*.svg"):
        shutil.copy(picture, folder)
    (folder / "settings.md").write_text(format_settings_page(read_setting_entries()), encoding="utf-8")
    (folder / "commands.md").write_text(format_commands_page(load_command_tree()), encoding="utf-8")
    for name, text in format_api_pages(list_public_modules()).items():
        (folder / "api" / f"{name}.md").write_text(text, encoding="utf-8")


def move_links(text: str) -> str:
    """Rewrite the links of a page for the folder in which README and the pages of `docs/` lie side by side.

    Args:
        text: A page in Markdown, as it stands in the repository.

    Returns:
        The page with links to `docs/x.md` and `../X.md` that lead to `x.md` and `X.md`.
    """
    text = re.sub(r"\]\(docs/", "](", text)
    text = re.sub(r'(src(?:set)?=")docs/', r"\1", text)
    return re.sub(r"\]\(\.\./(README|SECURITY|CONTRIBUTING|CHANGELOG)\.md", r"](\1.md", text)


def add_toctrees(index: str) -> str:
    """Add Sphinx' navigation to the first page: what each of its sections links to, under that section's name.

    Args:
        index: The page in Markdown; sections begin with `## `.

    Returns:
        The page with a hidden table of contents for each section.
    """
    blocks = []
    for section in index.split("\n## ")[1:]:
        links = re.findall(r"\[([^\]]+)\]\(([\w/-]+)\.md\)", section)
        pages = [f"{title} <{page}>" for title, page in links]
        blocks += ["", "```{toctree}", ":hidden:", f":caption: {section.splitlines()[0]}", "", *pages, "```"]
    return index.rstrip() + "\n" + "\n".join(blocks) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the documentation as a site that works offline.")
    parser.add_argument("folder", nargs="?", type=Path, default=SITE_FOLDER, help="where it goes")
    folder = parser.parse_args().folder
    if code := build_docs(folder.resolve()):
        raise SystemExit(code)
    print(folder / "index.html")


if __name__ == "__main__":
    main()
