"""The whole of `make monitor`: a model that has become wrong is noticed, and a new one made of a few flights."""

import itertools
import os
import re
import signal
from pathlib import Path

import pytest

from flows.steps.monitor import retraining, window_summary
from flows.steps.monitor.backlog import MIN_WINDOWS_OF_A_TASK
from monitoring.reports.workspace import ReportWorkspace
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from tests.helpers.flow_workspace import Workspace
from tests.helpers.models import monitored_model as world
from tests.helpers.models.monitored_model import ONE_DAY, WINDOW_BEGIN
from tests.helpers.models.registered_versions import read_ledger_entries

FEW = """
_all = fetch
def fetch(batch):
    header, *lines = (files := _all(batch))["flights.csv"].splitlines(keepends=True)
    return {**files, "flights.csv": header + b"".join(lines[::20])}
"""
TODAY = WINDOW_BEGIN + 8 * ONE_DAY


def registered(models: ModelRegistry, bundles: Path) -> str:
    """The model as a version of its own, which is live."""
    run = models.record(FinishedRun("train", 0, 1), artifacts={"bundle": bundles / "1"})
    version = models.register(run, "bundle", {})
    models.set_alias("live", version)
    (bundles / "1").rename(bundles / version)
    return version


@pytest.mark.slow
def test_a_model_that_has_become_wrong_is_replaced_by_no_one_but_gets_a_rival(tmp_path: Path, database: Path) -> None:
    space = Workspace(tmp_path)
    models = world.make_live_model(tmp_path, database)
    live = registered(models, tmp_path / "state/bundles")
    world.log_monitored_days(tmp_path, 7, wrong=True, model=live)
    space.append_to_source(FEW)
    overrides = {
        **world.make_monitor_environment(tmp_path, TODAY),
        "PENUMBRA_TRAINING__CANDIDATES": "logistic_regression",
    }
    said = space.run(*space.flow("monitor"), **{k.removeprefix("PENUMBRA_").lower(): v for k, v in overrides.items()})
    assert "version 5 was made" in said, said
    settings = world.make_monitor_settings(tmp_path, TODAY)
    verdict, gate, done = read_ledger_entries(tmp_path)
    assert [verdict.verdict, done.kind, done.verdict] == ["retrain", "retrain", "trained"]
    assert gate.versions["candidate"] == done.versions["new"] == "5"
    assert models.version("live") == live
    assert "entry 1: loss: " in models.client.get_run(models.find_run_id("5")).data.tags["reason"]
    assert retraining.find_pending_verdict(read_ledger_entries(tmp_path)) is None
    assert world.run_monitor_pass(tmp_path, TODAY) == []
    (window,) = world.read_windows(tmp_path)
    assert ReportWorkspace(settings.monitor.folder, settings.registry.model).is_published(window)
    assert "retrain" in window_summary.format_window_summary(settings.monitor, TODAY, [], "")


@pytest.mark.slow
def test_a_backlog_of_windows_is_measured_by_tasks_and_judged_by_one(empty: Path) -> None:
    """Until the next step begins: reports of so many windows take minutes."""
    space, days = Workspace(empty), 2 * MIN_WINDOWS_OF_A_TASK
    world.log_monitored_days(empty, days)
    environment = world.make_monitor_environment(empty, WINDOW_BEGIN + (days + 1) * ONE_DAY, window_days=1)
    with space.start(
        *space.flow("monitor"), **{k.removeprefix("PENUMBRA_").lower(): v for k, v in environment.items()}
    ) as flow:
        assert flow.stdout
        said = list(itertools.takewhile(lambda line: "/respond/" not in line, flow.stdout))
        os.killpg(flow.pid, signal.SIGKILL)
    tasks = {task[1] for line in said if (task := re.search(r"/measure/(\d+) ", line))}
    assert len(tasks) == 2, "".join(said)
    windows = [window.begin for window in world.read_windows(empty)]
    assert windows == [WINDOW_BEGIN + number * ONE_DAY for number in range(days)]
