"""Reports and cards in a browser: data is text, whatever it says, and a page can do nothing but show itself."""

import socket

import polars as pl
import pytest

from monitoring.dashboard.sites import SANDBOX_POLICY
from monitoring.reports.columns import ReportSides
from monitoring.reports.foreign_pages import render_snapshot, seal_page
from monitoring.reports.window_figures import ReportFigure
from penumbra.core.columns import DECISION_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.task import Task
from service.http.access.page_headers import add_page_headers
from tests.helpers.pages import browser_pages, local_sites

MARKER = "</script><!--<script><b id=marker>there</b>"
COLUMN = f"carrier {MARKER}"
REACH = "url => fetch(url, {mode: 'no-cors'}).then(() => 'reached', () => 'nothing')"


@pytest.fixture(scope="module")
def browser():
    with browser_pages.launch_chromium() as found:
        yield found


@pytest.fixture(scope="module")
def report():
    """The page of a report on rows with a marker in a column's name, in values and in sentences."""
    from monitoring.reports import evidently_reports

    values = [f"UA {MARKER}", "AA", None, "<b id=marker>bold</b>", '<a href="http://a.example">link</a>'] * 12
    frame = pl.DataFrame({COLUMN: values, "temp": [float(n) for n in range(60)]}).with_columns(
        **{
            PREDICTION_COLUMN: pl.col("temp") / 60,
            DECISION_COLUMN: pl.col("temp") > 30,
            LABEL_COLUMN: pl.col("temp") > 20,
        }
    )
    declared = {COLUMN: pl.String(), "temp": pl.Float64()}
    sides = ReportSides(frame, frame.with_columns(temp=pl.col("temp") + 5), Task("binary"), declared, 0.5)
    distances = {COLUMN: (0.2, 0.1), "temp": (0.05, 0.1)}
    snapshot = evidently_reports.build_data_report(
        sides, distances, [ReportFigure("rows", "rows", 60.0)], {"verdict": MARKER}, name=f"a title {MARKER}"
    )
    return seal_page(render_snapshot(snapshot), snapshot.get_name())


@pytest.fixture
def address(report):
    """Where a server gives the page out, as the dashboard does."""

    async def serve(scope, receive, send):
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": report.encode()})

    listening = socket.create_server(("127.0.0.1", 0))
    with local_sites.serve_app(add_page_headers(serve, SANDBOX_POLICY), [listening]):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.mark.slow
def test_in_a_report_all_data_is_text_and_it_has_an_origin_of_its_own_that_reaches_nothing(browser, address):
    with browser_pages.open_page(browser, address) as seen:
        seen.page.get_by_text("Counted over all rows").wait_for()
        seen.page.locator("svg").first.wait_for(state="attached")
        assert seen.page.title() == f"a title {MARKER}"
        assert seen.page.locator("#marker").count() == 0
        assert seen.page.locator("a[href*='a.example']").count() == 0
        assert MARKER in seen.page.inner_text("body")
        assert seen.page.evaluate("origin") == "null"
        assert seen.page.evaluate(REACH, address) == "nothing"
        assert seen.requested == [address]


@pytest.mark.slow
def test_a_report_in_a_file_reaches_nothing_either(browser, report, address, tmp_path):
    (tmp_path / "report.html").write_text(report)
    with browser_pages.open_page(browser, (tmp_path / "report.html").as_uri()) as seen:
        seen.page.get_by_text("Counted over all rows").wait_for()
        assert seen.page.evaluate(REACH, address) == "nothing"


def test_a_policy_comes_before_everything_else_on_a_page():
    page = "<!doctype html><html><head><script>1</script></head><body><head></body></html>"
    sealed = seal_page(page, "<one>")
    assert sealed.index("Content-Security-Policy") < sealed.index("<script>")
    assert sealed.count("Content-Security-Policy") == sealed.count("<title>&lt;one&gt;</title>") == 1
    assert seal_page("no head").startswith("<meta http-equiv")
