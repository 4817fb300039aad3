"""The generated pages of the API reference: every public module, from its docstrings."""

import importlib

from docs.reference import escape_cell
from penumbra.core.settings import PROJECT_ROOT

DOCUMENTED_ROOMS = ("penumbra", "flows/steps", "service", "monitoring")


def list_public_modules() -> list[str]:
    """List the modules that the API reference has, packages included.

    Returns:
        Dotted names, sorted. A name with a part that begins with an underscore is not public.
    """
    modules = []
    for room in DOCUMENTED_ROOMS:
        for path in (PROJECT_ROOT / room).rglob("*.py"):
            parts = path.relative_to(PROJECT_ROOT).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            if not any(part.startswith("_") for part in parts):
                modules.append(".".join(parts))
    return sorted(modules)


def format_api_pages(modules: list[str]) -> dict[str, str]:
    """Format the API reference: a page for each package, with the modules that lie in it.

    Args:
        modules: Dotted names of modules and packages.

    Returns:
        Pages in Markdown by their names, which are those of the packages; `index` lists them.
    """
    packages = [name for name in modules if _is_package(name)]
    pages = {"index": _format_api_index(packages)}
    for package in packages:
        own = [name for name in modules if name.rpartition(".")[0] == package and name not in packages]
        blocks = [f"# {package}", "", *_format_automodule(package)]
        for name in own:
            blocks += ["", f"## {name}", "", *_format_automodule(name)]
        pages[package] = "\n".join(blocks) + "\n"
    return pages


def _is_package(name: str) -> bool:
    return (PROJECT_ROOT / name.replace(".", "/") / "__init__.py").exists()


def _format_automodule(name: str) -> list[str]:
    return ["```{eval-rst}", f".. automodule:: {name}", "   :ignore-module-all:", "```"]


def _format_api_index(packages: list[str]) -> str:
    rows = [f"| [`{name}`]({name}.md) | {escape_cell(_get_first_line(name))} |" for name in packages]
    head = [
        "# API reference",
        "",
        "Every public module, by package, from its docstrings.",
        "",
        "| package | |",
        "|---|---|",
    ]
    toctree = ["", "```{toctree}", ":hidden:", "", *packages, "```"]
    return "\n".join([*head, *rows, *toctree]) + "\n"


def _get_first_line(name: str) -> str:
    return (importlib.import_module(name).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
