"""A card as Markdown and as a page that needs nothing else; the same card always gives the same text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from penumbra.core.text.masking import mask_text

PAGE_TEMPLATE = "model_card.html"
MARKUP = re.compile(r"([\\`*<>|])")  # what would be markup in a cell
# The beginning of a line that would be structure of the card: a heading, a table, a fence, HTML, a rule.
STRUCTURE = re.compile(r"^([ \t]*)(?=#|\||`{3}|~{3}|<|=+[ \t]*$|-+[ \t]*$)", re.MULTILINE)


@dataclass(frozen=True)
class CardTable:
    """A table of texts.

    Attributes:
        caption: What it shows.
        columns: The names of its columns.
        rows: Its rows, a text for each column.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class CardSection:
    """A section: paragraphs, then pairs of a name and a value, then tables.

    Attributes:
        title: Its heading.
        paragraphs: Its text.
        pairs: Names with their values.
        tables: Its tables; those without rows are left out.
    """

    title: str
    paragraphs: Sequence[str] = ()
    pairs: Sequence[tuple[str, str]] = ()
    tables: Sequence[CardTable] = ()

    @property
    def filled_tables(self) -> list[CardTable]:
        """The tables that have rows."""
        return [table for table in self.tables if table.rows]


@dataclass(frozen=True)
class ModelCard:
    """The card of a model version.

    Attributes:
        title: The heading of all.
        summary: One sentence.
        sections: The sections.
    """

    title: str
    summary: str
    sections: Sequence[CardSection] = field(default_factory=tuple)


def format_card(card: ModelCard) -> str:
    """Format a card as Markdown.

    Args:
        card: The card.

    Returns:
        The text, with secrets of addresses masked.
    """
    parts = [f"# {_escape(card.title)}", _escape(card.summary)]
    for section in card.sections:
        parts += [f"## {section.title}", *(STRUCTURE.sub(r"\1\\", each) for each in section.paragraphs)]
        parts += (
            ["\n".join(f"- **{name}**: {_escape(value)}" for name, value in section.pairs)] if section.pairs else []
        )
        parts += [_format_table(table) for table in section.filled_tables]
    return mask_text("\n\n".join(parts)) + "\n"


def render_card(card: ModelCard) -> str:
    """Render a card as a page.

    Args:
        card: The card.

    Returns:
        The page, which loads nothing, with secrets of addresses masked.
    """
    from monitoring.dashboard.page_templates import render_page

    return mask_text(render_page(Path(__file__).parent, PAGE_TEMPLATE, card))


def _format_table(table: CardTable) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *([_escape(cell) for cell in row] for row in table.rows)]
    return "\n".join([f"{table.caption}:", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _escape(text: str) -> str:
    return MARKUP.sub(r"\\\1", " ".join(text.split()))
