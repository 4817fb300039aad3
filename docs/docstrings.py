"""What Sphinx has to be told about the project's docstrings: tables in them are Markdown."""

from typing import Any


def convert_markdown_tables(app: Any, what: str, name: str, object_: Any, options: Any, lines: list[str]) -> None:
    """Turn each Markdown table of a docstring into a table of reStructuredText.

    A listener of Sphinx' event `autodoc-process-docstring`, whose arguments it takes.

    Args:
        app: The Sphinx application.
        what: The kind of object that is documented.
        name: Its qualified name.
        object_: The object itself.
        options: The options of the directive.
        lines: The lines of the docstring; changed in place.
    """
    converted: list[str] = []
    rows: list[list[str]] = []
    for line in [*lines, ""]:
        if line.lstrip().startswith("|") and line.rstrip().endswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
            continue
        if rows:
            converted += _format_table(rows)
            rows = []
        converted.append(line)
    lines[:] = converted


def _format_table(rows: list[list[str]]) -> list[str]:
    """Format rows of cells, of which the second is the line under the head, as the directive `list-table`."""
    body = [row for row in rows if not all(set(cell) <= set(":-") and cell for cell in row)]
    width = max(len(row) for row in body)
    header = ["   :header-rows: 1"] if len(body) < len(rows) else []
    table = ["", ".. list-table::", *header, ""]
    for row in body:
        for number, cell in enumerate([*row, *[""] * (width - len(row))]):
            table.append(f"   {'* -' if number == 0 else '  -'} {cell}".rstrip())
    return [*table, ""]
