"""Pages that other tools make, with data of ours within scripts: Evidently's reports and Metaflow's cards.

Nothing in the data can become markup, and a page can reach nothing outside itself, whoever serves it or opens the file.
Importing this is cheap; `render_snapshot` imports Evidently.
"""

import html
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What such a page needs, and nothing else. A server adds `sandbox`, which a page can't ask for itself.
FOREIGN_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; connect-src 'none'; form-action 'none'; base-uri 'none'"
)
SCRIPT_ESCAPES = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def render_snapshot(snapshot: Any) -> str:
    """Render an Evidently snapshot as a page, with its data as JSON that can't end the script that it is in.

    Args:
        snapshot: The Evidently snapshot.

    Returns:
        The page.
    """
    with _encode_safely():
        return str(snapshot.get_html_str(as_iframe=False))


def seal_page(page: str, title: str = "") -> str:
    """Give a page a content security policy that lets it do nothing but show itself.

    Args:
        page: The page's HTML.
        title: Its title; "" where it has one.

    Returns:
        The page with both in its head.
    """
    policy = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(FOREIGN_PAGE_POLICY)}">'
    titled = f"<title>{html.escape(title)}</title>" if title else ""
    head = "<head>"
    before, found, after = page.partition(head)
    return f"{before}{head}\n{policy}{titled}{after}" if found else f"{policy}{titled}{page}"


@contextmanager
def _encode_safely() -> Iterator[None]:
    """Have Evidently write `<` and the like within JSON as escapes; its own encoder is put back at the end.

    All JSON of a page passes through the encoder, and these characters stand within texts only. For a process that does
    nothing but reports, as it replaces a class that all threads share.
    """
    from evidently.legacy.utils import dashboard

    encoder = dashboard.NumpyEncoder

    class ScriptEncoder(encoder):  # type: ignore[misc, valid-type, unused-ignore]
        def encode(self, value: Any) -> str:
            text = str(super().encode(value))
            for character, escape in SCRIPT_ESCAPES.items():  # ten times as fast as translating each character
                text = text.replace(character, escape)
            return text

    dashboard.NumpyEncoder = ScriptEncoder
    try:
        yield
    finally:
        dashboard.NumpyEncoder = encoder
