"""The latest run of each flow, as a real flow leaves it behind."""

import datetime as dt
import os
import socket
import subprocess
import sys

import pytest

from monitoring.dashboard.flow_runs import FlowRun
from monitoring.dashboard.sites import SANDBOX_POLICY
from penumbra.core.settings import PROJECT_ROOT
from service.http.page_headers import add_page_headers
from tests.helpers import browser_pages, local_sites

FLOW = r"""
from metaflow import FlowSpec, card, current, step
from metaflow.cards import Markdown, Table
from penumbra.core.quoting import escape_text, fence_text

HOSTILE = "</script>```\n~~~\n<b id=marker>there</b>"


class SmallFlow(FlowSpec):
    @card(type="blank")
    @step
    def start(self):
        current.card.append(Markdown("a card of a small flow\n" + fence_text(HOSTILE)))
        current.card.append(Table([[escape_text(HOSTILE)]]))
        self.next(self.end)

    @step
    def end(self):
        assert {good}


if __name__ == "__main__":
    SmallFlow()
"""
ASK = """
import pathlib
from monitoring.reports.foreign_pages import seal_page
from monitoring.dashboard import flow_runs
(run,) = flow_runs.list_latest_flow_runs(["SmallFlow", "NoFlow"])
print(run.flow, run.good, run.ended is not None, "<html" in run.card)
pathlib.Path("card.html").write_text(seal_page(run.card))
"""
NOW = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)


def python(*words, cwd, check=True):
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "METAFLOW_USER": "ann"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=cwd, env=environ, check=check, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize(("good", "said"), [(True, "SmallFlow True True True"), (False, "SmallFlow False")])
def test_the_latest_run_of_a_flow_comes_with_its_end_and_its_card(tmp_path, good, said):
    (tmp_path / ".metaflow").mkdir()
    (tmp_path / "small.py").write_text(FLOW.format(good=good))
    python("small.py", "--no-pylint", "run", cwd=tmp_path, check=good)
    assert python("-c", ASK, cwd=tmp_path).startswith(said)
    if good:
        require_text_alone((tmp_path / "card.html").read_bytes())


def require_text_alone(content):
    """Open a card as the dashboard serves it: it shows its text, has an origin of its own and reaches nothing."""

    async def serve(scope, receive, send):
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    with (
        local_sites.serve_app(add_page_headers(serve, SANDBOX_POLICY), [listening]),
        browser_pages.launch_chromium() as browser,
        browser_pages.open_page(browser, address) as seen,
    ):
        seen.page.get_by_text("a card of a small flow").wait_for()
        assert seen.page.inner_text("body").count("<b id=marker>there</b>") == 1
        assert seen.page.inner_text("table").count("x3cb id=marker") == 1
        assert seen.page.locator("#marker").count() == 0
        assert (seen.page.evaluate("origin"), seen.answered) == ("null", [address])


def run(hours: float, ended: bool = False, good: bool = False) -> FlowRun:
    begun = NOW - dt.timedelta(hours=hours)
    return FlowRun("TrainFlow", "1", begun, NOW if ended else None, good)


def test_a_run_without_an_end_is_running_until_that_can_t_be_any_more():
    assert run(1).state(NOW) == "running"
    assert run(25).state(NOW) == "killed"


def test_a_run_with_an_end_is_done_or_failed():
    assert run(1, ended=True, good=True).state(NOW) == "done"
    assert run(1, ended=True).state(NOW) == "failed"
