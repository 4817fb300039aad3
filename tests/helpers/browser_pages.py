"""Pages as a reader has them: in a real Chromium, where there is one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PHONE_SIZE, DESKTOP_SIZE = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
NO_BROWSER_MESSAGE = "no browser: install Chromium (Debian: apt-get install chromium) to look at the pages"
# The contrast of each text with what is behind it (WCAG 2.2, 1.4.3), worst first.
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
    """A page that was opened, and the addresses of all that it asked for."""

    page: Page
    asked: list[str] = field(default_factory=list)

    @property
    def requested_hosts(self) -> set[str]:
        """Machines that were asked."""
        return {address.split("/")[2].rpartition(":")[0] for address in self.asked if address.startswith("http")}

    @property
    def width(self) -> int:
        """What all of it takes, in pixels."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    """Skips the test that asks for it where no browser is installed."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip(NO_BROWSER_MESSAGE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, address: str, size: dict[str, int] = DESKTOP_SIZE) -> Iterator[OpenedPage]:
    page = browser.new_page(viewport=size)  # type: ignore[arg-type]
    seen = OpenedPage(page)
    page.on("request", lambda request: seen.asked.append(request.url))
    page.goto(address)
    yield seen
    page.close()
