"""A browser, logged rows that are picked for review, and the page that shows them."""

import contextlib

import pytest

from tests.helpers.pages import browser_pages, review_pages
from tests.helpers.pages.review_pages import JUDGED_FLIGHTS, pick_logged_rows
from tests.monitoring.dashboard.review.page_actions import open_page_as


@pytest.fixture(scope="module")
def browser():
    with browser_pages.launch_chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    return pick_logged_rows(tmp_path_factory.mktemp("review"), 40)


@pytest.fixture(scope="module")
def address(reviewed):
    with review_pages.serve_overview_site(reviewed.settings, JUDGED_FLIGHTS) as found:
        yield f"{found}/review"


@pytest.fixture
def open_as(browser, address):
    """Opens the page for a reviewer, in a browser of their own."""
    with contextlib.ExitStack() as opened:

        def open_as(name, **options):
            context = opened.enter_context(contextlib.closing(browser.new_context(**options)))
            return open_page_as(context, address, name)

        yield open_as
