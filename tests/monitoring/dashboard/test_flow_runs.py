"""The latest run of each flow, as a real flow leaves it behind."""

import datetime as dt
import os
import subprocess
import sys

import pytest

from monitoring.dashboard.flow_runs import FlowRun
from penumbra.core.settings import PROJECT_ROOT

FLOW = """
from metaflow import FlowSpec, card, current, step
from metaflow.cards import Markdown


class SmallFlow(FlowSpec):
    @card(type="blank")
    @step
    def start(self):
        current.card.append(Markdown("a card of a small flow"))
        self.next(self.end)

    @step
    def end(self):
        assert {good}


if __name__ == "__main__":
    SmallFlow()
"""
ASK = """
from monitoring.dashboard import flow_runs
(run,) = flow_runs.list_latest_flow_runs(["SmallFlow", "NoFlow"])
print(run.flow, run.good, run.ended is not None, "<html" in run.card)
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


def run(hours: float, ended: bool = False, good: bool = False) -> FlowRun:
    begun = NOW - dt.timedelta(hours=hours)
    return FlowRun("TrainFlow", "1", begun, NOW if ended else None, good)


def test_a_run_without_an_end_is_running_until_that_can_t_be_any_more():
    assert run(1).state(NOW) == "running"
    assert run(25).state(NOW) == "killed"


def test_a_run_with_an_end_is_done_or_failed():
    assert run(1, ended=True, good=True).state(NOW) == "done"
    assert run(1, ended=True).state(NOW) == "failed"
