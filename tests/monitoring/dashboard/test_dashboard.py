"""`make dashboard` as a reader sees it: three servers, their pages in a browser, and nothing left when it ends."""

import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest

from flows.steps.monitor import reports
from monitoring.dashboard import places, processes
from monitoring.reports.workspace import DASHBOARD_PANELS, ReportWorkspace
from monitoring.windows.window_store import WindowStore
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.system.http_client import find_free_port
from service.processes.workers.supervisor import ChildProcess
from tests.helpers.models import recorded_windows
from tests.helpers.pages import browser_pages
from tests.helpers.servers import local_service

PATIENCE = 120.0
TIMEOUT = PATIENCE * 1000
ADMIN = "admin-key-of-anna"
BEHIND = re.compile(r"--uds|monitoring\.dashboard\.evidently_server")


@pytest.fixture(scope="module")
def browser():
    with browser_pages.launch_chromium() as found:
        yield found


@pytest.fixture(scope="module")
def watched(tmp_path_factory, database):
    """Two windows with their reports."""
    settings = recorded_windows.make_monitored_history(tmp_path_factory.mktemp("watched"), database, weeks=2)
    reports.publish_reports(settings)
    return settings


@pytest.fixture(scope="module")
def addresses(browser, watched):
    """Where each page is, as the command prints it; it is told to end afterwards, and ends all."""
    folder = watched.monitor.folder.parent
    environ = {**os.environ, **recorded_windows.make_history_environment(folder)}
    environ["PENUMBRA_DASHBOARD__FIRST_PORT"] = str(find_free_port())
    environ["PENUMBRA_KEYS__ADMIN"] = ADMIN
    with (folder / "output").open("wb") as output:
        command = [sys.executable, "-m", "monitoring.dashboard.processes"]
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
    said = (folder / "output").read_text
    try:
        local_service.wait_until(lambda: "All answer" in said() or process.poll() is not None, PATIENCE)
        found = dict(re.findall(r"^(\w+) +(http://\S+)$", said(), re.MULTILINE))
        assert set(found) == {"overview", "mlflow", "evidently"}, said()
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert [address for address in found.values() if is_open(address)] == []


def is_open(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0


@pytest.mark.slow
def test_the_overview_is_never_stale(browser, watched, addresses):
    with browser_pages.open_page(browser, addresses["overview"]) as seen:
        assert seen.page.title() == "flight-delay: ok"
        WindowStore(watched.monitor.folder).write(recorded_windows.make_window(2, "retrain", ratio=2.0))
        seen.page.reload()
        assert seen.page.title() == "flight-delay: retrain"
        assert seen.requested_hosts == {"127.0.0.1"}


@pytest.mark.slow
def test_the_overview_leads_to_the_report_of_a_window(browser, addresses):
    with browser_pages.open_page(browser, addresses["overview"]) as seen:
        seen.page.click('[aria-label="data of 2013-04-08 to 2013-04-14"]')
        seen.page.get_by_text("Counted over all rows").wait_for(timeout=TIMEOUT)
        assert seen.page.title() == "2013-04-08 to 2013-04-14: data, ok"
        text = seen.page.inner_text("body")
        assert "ok: nothing is beyond its threshold" in text
        assert "0.0700, with a threshold of 0.1000" in text
        assert "Drift in column 'temp'" in text
        assert seen.requested_hosts == {"127.0.0.1"}


@pytest.mark.slow
def test_evidently_shows_the_last_verdict_and_a_point_for_each_window(browser, addresses):
    with browser_pages.open_page(browser, addresses["overview"]) as seen:
        seen.page.click("#links >> text=Evidently")
        seen.page.get_by_text("The latest window, 2013-04-08 to 2013-04-14: ok").wait_for(timeout=TIMEOUT)
        for panel in DASHBOARD_PANELS:
            seen.page.get_by_text(panel.title, exact=True).first.wait_for(timeout=TIMEOUT)
        points = seen.page.locator("div", has_text="Shadow disagreement").last.locator(
            "xpath=ancestor::*[.//*[name()='circle']][1]"
        )
        points.locator("circle").first.wait_for(timeout=TIMEOUT)
        assert points.locator("circle").count() == 4  # two windows, disagreement and noise floor
        assert seen.requested_hosts == {"127.0.0.1"}


@pytest.mark.slow
def test_mlflow_shows_the_run_of_a_window_with_its_report(browser, watched, addresses):
    run = ReportWorkspace(watched.monitor.folder, watched.registry.model).run(recorded_windows.make_window(0))
    with browser_pages.open_page(browser, addresses["mlflow"] + "/#/experiments/1/runs") as seen:
        seen.page.get_by_text("window 2013-04-01").first.wait_for(timeout=TIMEOUT)
        seen.page.goto(f"{addresses['mlflow']}/#/experiments/1/runs/{run}/artifacts/reports/data.html")
        frame = seen.page.frame_locator("iframe")
        frame.get_by_text("Counted over all rows").wait_for(timeout=TIMEOUT)
        assert seen.requested_hosts == {"127.0.0.1"}


@pytest.mark.slow
def test_pages_of_mlflow_and_evidently_delete_with_an_admin_key_only(watched, addresses):
    workspace = ReportWorkspace(watched.monitor.folder, watched.registry.model)
    project = f"{addresses['evidently']}/api/projects/{workspace.project}"
    delete = f"{addresses['mlflow']}/ajax-api/2.0/mlflow/registered-models/delete-tag"
    with httpx.Client(trust_env=False) as http:
        assert http.delete(project).status_code == 401
        assert http.request("DELETE", delete, json={"name": "flight-delay", "key": "x"}).status_code == 401
        key = {"authorization": f"Bearer {ADMIN}"}
        assert http.request("DELETE", delete, json={"name": "flight-delay", "key": "x"}, headers=key).status_code == 200
        assert http.get(f"{project}/info").status_code == 200


@pytest.mark.slow
def test_nothing_behind_the_dashboard_listens_at_a_port_or_has_a_key(addresses):
    started = psutil.Process().children(recursive=True)
    behind = local_service.find_processes(BEHIND, started)
    assert len(behind) >= 2
    assert not [each for each in behind if any(one.status == "LISTEN" for one in each.net_connections("tcp"))]
    assert not [each for each in behind if any(name.startswith("PENUMBRA_KEYS") for name in each.environ())]


def test_a_port_that_is_taken_is_replaced_by_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        ports = places.find_free_ports("127.0.0.1", first)
    assert ports["overview"] != first
    assert len(set(ports.values())) == 3


def test_a_registry_with_pages_of_its_own_gets_no_others(tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    served = settings.model_copy(
        update={"registry": settings.registry.model_copy(update={"tracking": "http://mlflow.example"})}
    )
    to = places.build_page_addresses(served, {"overview": 1, "mlflow": 2, "evidently": 3})
    assert to["mlflow"] == "http://mlflow.example"
    assert [child.name for child in processes.list_dashboard_processes(served, dict.fromkeys(to, 1), tmp_path)] == [
        "overview",
        "evidently",
    ]


@pytest.mark.slow
def test_what_a_child_prints_goes_to_its_log(tmp_path):
    child = ChildProcess("one", [sys.executable, "-c", "print('here I am')"], tmp_path / "one.log")
    child.keep_running(os.environ, now=1.0)
    assert child.process.wait(30) == 0
    assert (tmp_path / "one.log").read_text() == "here I am\n"


@pytest.mark.slow
def test_the_workspace_is_where_reports_are_kept(tmp_path):
    assert ReportWorkspace(tmp_path, "any").workspace.name == processes.DASHBOARD_WORKSPACE
