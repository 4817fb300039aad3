"""The latest run of each flow, as a real flow leaves it behind."""

import datetime as dt
import os
import socket
import subprocess
import sys

import pytest

from monitoring.dashboard.overview.flow_runs import FlowRun
from monitoring.dashboard.sites import SANDBOX_POLICY
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.system.process_tree import kill_process_tree
from service.http.access.page_headers import add_page_headers
from tests.helpers.pages import browser_pages, local_sites
from tests.helpers.servers.local_service import wait_until

FLOW = r"""
import time
from metaflow import FlowSpec, card, current, step
from metaflow.cards import Markdown, Table
from penumbra.core.text.quoting import escape_text, fence_text

HOSTILE = "</script>```\n~~~\n<b id=marker>there</b>"


class SmallFlow(FlowSpec):
    @card(type="blank")
    @step
    def start(self):
        current.card.append(Markdown("a card of a small flow\n" + fence_text(HOSTILE)))
        current.card.append(Table([[escape_text(HOSTILE)]]))
        time.sleep({seconds})
        assert {good}
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    SmallFlow()
"""
ASK = """
import pathlib
from monitoring.reports.foreign_pages import seal_page
from monitoring.dashboard.overview import flow_runs
(run,) = flow_runs.list_latest_flow_runs(["SmallFlow", "NoFlow"])
print(run.flow, run.state, run.ended is not None, "<html" in run.card)
pathlib.Path("card.html").write_text(seal_page(run.card))
"""
NOW = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)


def start_python(*words, cwd):
    environ = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "METAFLOW_USER": "ann"}
    return subprocess.Popen([sys.executable, *words], cwd=cwd, env=environ, stdout=subprocess.PIPE, text=True)


def python(*words, cwd, check=True):
    with start_python(*words, cwd=cwd) as process:
        said = process.communicate()[0]
    assert process.returncode == 0 or not check
    return said


@pytest.mark.slow
@pytest.mark.parametrize(("good", "said"), [(True, "SmallFlow done True True"), (False, "SmallFlow failed True")])
def test_the_latest_run_of_a_flow_comes_with_its_end_and_its_card(tmp_path, good, said):
    (tmp_path / ".metaflow").mkdir()
    (tmp_path / "small.py").write_text(FLOW.format(good=good, seconds=0))
    python("small.py", "--no-pylint", "run", cwd=tmp_path, check=good)
    assert python("-c", ASK, cwd=tmp_path).startswith(said)
    if good:
        require_text_alone((tmp_path / "card.html").read_bytes())


@pytest.mark.slow
def test_a_run_is_running_while_it_has_a_process_and_killed_once_that_is_gone(tmp_path):
    (tmp_path / ".metaflow").mkdir()
    (tmp_path / "small.py").write_text(FLOW.format(good=True, seconds=60))
    with start_python("small.py", "--no-pylint", "run", cwd=tmp_path) as flow:
        wait_until(lambda: list(tmp_path.glob(".metaflow/SmallFlow/*/start/1")))
        assert python("-c", ASK, cwd=tmp_path).startswith("SmallFlow running False")
        kill_process_tree(flow)
    assert python("-c", ASK, cwd=tmp_path).startswith("SmallFlow killed False")


@pytest.mark.slow
def test_a_task_that_has_only_begun_has_no_card_yet(tmp_path):
    (tmp_path / ".metaflow").mkdir()
    (tmp_path / "small.py").write_text(FLOW.format(good=True, seconds=0))
    python("small.py", "--no-pylint", "run", cwd=tmp_path)
    for path in tmp_path.glob(".metaflow/SmallFlow/*/start/*/_meta/sysmeta_*"):
        path.unlink()
    assert python("-c", ASK, cwd=tmp_path).startswith("SmallFlow done True False")


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


def run(**facts) -> FlowRun:
    return FlowRun("TrainFlow", "1", NOW, **{"ended": None, "good": False} | facts)


def test_a_run_without_an_end_is_running_as_long_as_it_has_a_process():
    assert run(at_work=True).state == "running"
    assert run(at_work=True, ended=NOW).state == "running"  # what has failed is tried again
    assert run().state == "killed"


def test_a_run_with_an_end_is_done_or_failed():
    assert run(ended=NOW, good=True).state == "done"
    assert run(ended=NOW).state == "failed"
