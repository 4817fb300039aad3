"""Pages in a real Chromium, as a reader sees them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE_SIZE, DESKTOP_SIZE = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER_MESSAGE = (
    "no browser: install Chromium (Debian: apt-get install chromium) or name one by the environment variable CHROMIUM"
)
# The contrast ratio of each text with its background (WCAG 2.2, 1.4.3), lowest first.
CONTRAST_SCRIPT = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length && (c.length < 4 || c[3] === 1)) return c; } return [255, 255, 255]; };
  const texts = [...document.body.querySelectorAll('*')].filter(e => !e.closest('svg') &&
    [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  return texts.map(e => { const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort();
    return [(b + 0.05) / (a + 0.05), e.textContent.trim()]; }).sort((one, other) => one[0] - other[0]);
}"""


@dataclass
class OpenedPage:
    """A page that was opened.

    Attributes:
        page: The browser's page.
        requested: The addresses of everything that it requested.
        answered: Those of them that got an answer.
    """

    page: "Page"
    requested: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)

    @property
    def requested_hosts(self) -> set[str]:
        """The machines that it requested something from."""
        return {address.split("/")[2].rpartition(":")[0] for address in self.requested if address.startswith("http")}

    @property
    def width(self) -> int:
        """The width of everything on the page, in pixels."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


@contextmanager
def launch_chromium() -> Iterator["Browser"]:
    """Run a Chromium. Without one the test is skipped, or fails where the environment has REQUIRE_BROWSER.

    Yields:
        The browser.
    """
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)(NO_BROWSER_MESSAGE)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_page(browser: "Browser", address: str, size: dict[str, int] = DESKTOP_SIZE) -> Iterator[OpenedPage]:
    """Open an address in a page of its own.

    Args:
        browser: The browser.
        address: The address, such as "file:///…".
        size: Width and height of the window, in pixels.

    Yields:
        The opened page, which is closed at the end.
    """
    page = browser.new_page(viewport=size)  # type: ignore[arg-type]
    opened = OpenedPage(page)
    page.on("request", lambda request: opened.requested.append(request.url))
    page.on("response", lambda response: opened.answered.append(response.url))
    page.goto(address)
    yield opened
    page.close()
