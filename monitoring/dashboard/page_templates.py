"""Templates of the dashboard's pages: escaped throughout, and an error where a value is missing."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

SHARED_FOLDER = Path(__file__).parent  # with the styles that all pages include


def render_page(folder: Path, template: str, facts: Any) -> str:
    """Render a page.

    Args:
        folder: The folder of the template; what it includes is there or beside this module.
        template: The template's file name.
        facts: What the template knows as `page`.

    Returns:
        The page.
    """
    loader = FileSystemLoader([folder, SHARED_FOLDER])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(template).render(page=facts)
