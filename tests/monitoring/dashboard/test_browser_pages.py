"""Tests of pages: what they do where no browser is installed."""

import pytest

from tests.helpers.pages import browser_pages


@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)], ids=["elsewhere", "in CI"]
)
def test_without_a_browser_tests_of_pages_are_skipped_and_fail_where_one_is_required(monkeypatch, required, outcome):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("REQUIRE_BROWSER", required)
    with pytest.raises(outcome, match="no browser: install Chromium"), browser_pages.launch_chromium():
        pass
