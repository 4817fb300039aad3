"""`python -m benchmarks.measured.page`: fills docs/benchmarks.md and its pictures from docs/measured.json.

On the page `<!-- measured: NAME -->` begins a block, and `<!-- end -->` ends it: the figures with an aim, the machine,
how something grows, or what a benchmark printed. A run that is entered into that file fills them, too.
"""

import re
from pathlib import Path
from typing import Any

from benchmarks.measured import pictures
from benchmarks.measured.measured_file import MEASURED_FILE, Measured, read_measured
from benchmarks.pipeline.growth.table import format_growth_table, read_growth_costs
from penumbra.core.settings import PROJECT_ROOT

BENCHMARKS_PAGE = PROJECT_ROOT / "docs" / "benchmarks.md"
BLOCK = re.compile(r"(<!-- measured: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOT_MEASURED = "Not measured yet."


def update_page(folder: Path = BENCHMARKS_PAGE.parent) -> None:
    """Fill the blocks of the page, and draw the pictures.

    Args:
        folder: The folder of the page; the pictures go there.
    """
    measured, page = read_measured(MEASURED_FILE), folder / BENCHMARKS_PAGE.name
    page.write_text(fill_blocks(page.read_text(encoding="utf-8"), measured), encoding="utf-8")
    for name, picture in pictures.draw_pictures(measured["figures"]).items():
        (folder / name).write_text(picture, encoding="utf-8")


def fill_blocks(page: str, measured: Measured) -> str:
    """Fill the blocks of a page.

    Args:
        page: A page in Markdown.
        measured: The sections of the file of figures.

    Returns:
        The page with other contents of its blocks.
    """
    return BLOCK.sub(lambda found: f"{found[1]}{_format_block(found[2], measured)}\n{found[3]}", page)


def _format_block(name: str, measured: Measured) -> str:
    if name == "aims":
        return _format_aims(measured["aims"])
    if name == "machine":
        return _describe_machines(measured["runs"])
    run = measured["runs"].get(name)
    if not run:
        return NOT_MEASURED
    printed = format_growth_table(read_growth_costs(measured["figures"])) if name == "growth" else run["printed"]
    time = f", in {_format_time(run['seconds'])}" if run["seconds"] else ""
    return f"Measured on {run['date']}, revision {run['revision']}{time}:\n\n```text\n{printed}\n```"


def _format_aims(aims: dict[str, dict[str, Any]]) -> str:
    lines = ["| what | measured | aim | kept | measured by, on | revision |", "|---|---|---|---|---|---|"]
    for title, aim in aims.items():
        benchmark, value = f"`bench {aim['figure'].partition('/')[0]}`", aim.get("value")
        cells = [title, "-", aim["aim"], "", benchmark, ""]
        if value is not None:
            kept = "yes" if aim["kept"] else "**no**"
            cells[1], cells[3:] = _format_value(value), [kept, f"{benchmark}, {aim['date']}", aim["revision"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _describe_machines(runs: dict[str, dict[str, Any]]) -> str:
    machines = {
        f"{run['cores']} cores, {run['memory_gib']} GiB of memory, Python {run['python']}; "
        + (", ".join(f"{name} {version}" for name, version in run["versions"].items()) or "versions weren't noted")
        for run in runs.values()
    }
    return "\n\n".join(sorted(machines)) or NOT_MEASURED


def _format_value(value: float) -> str:
    return f"{value:,.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f}"


def _format_time(seconds: int) -> str:
    return f"{seconds} s" if seconds < 100 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    update_page()
