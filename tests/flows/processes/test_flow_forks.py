"""Runs of flows as forks of one process: each is like a process of its own, and none leaves anything to the next."""

import json
import os
from pathlib import Path

import pytest

from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
from tests.helpers.flow_workspace import NEW_PYTHON, WAITING_THREAD, Workspace

pytestmark = pytest.mark.slow

FLOW = """
import json, os, random, sys, time
import psutil
from metaflow import FlowSpec, step
from flows.steps.processes.task_forks import fork_tasks

class ToyFlow(FlowSpec):
    @step
    def start(self):
        self.parts = [1]
        self.next(self.part, foreach="parts")

    @step
    def part(self):
        if "KILL" in os.environ:
            psutil.Process(os.getppid()).parent().kill()
            time.sleep(60)
        import numpy
        with open("seen.jsonl", "a") as seen:
            seen.write(json.dumps({
                "imported": "flows.ingest" in sys.modules, "problem": "problem" in sys.modules,
                "later": "metaflow.cards" in sys.modules and "vl_convert" in sys.modules,
                "left": sorted({"LEFT", "FIRST"} & {*os.environ, *map(str.upper, sys.modules)}),
                "folder": os.getcwd(), "words": sys.argv[-1:], "drawn": [random.random(), numpy.random.rand()],
            }) + "\\n")
        os.environ["LEFT"], sys.modules["left"] = "this", sys
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        sys.exit(int(os.environ.get("CODE", 0)))

if __name__ == "__main__":
    with fork_tasks(sys.argv, []):
        ToyFlow()
"""

RUNS = """
import os, sys
from pathlib import Path
from flows.steps.processes.flow_forks import fork_flows
BEFORE
with fork_flows() as runner:
    os.environ["METAFLOW_USER"] = "tester"
    runner.import_ahead(["ingest"])
    for environment in ({"FIRST": "yes"}, {}, {"CODE": "3"}):
        print("code", runner.run(["toy.py", "--no-pylint", "run"], environment, Path("log.txt")), flush=True)
    print(Path("log.txt").read_text())
"""


def run_three_times(folder: Path, before: str = "") -> tuple[str, list[dict[str, object]]]:
    space = Workspace(folder, NEW_PYTHON)
    (folder / "toy.py").write_text(FLOW)
    output = space.run("-c", RUNS.replace("BEFORE", before))
    return output, [json.loads(line) for line in (folder / "seen.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("before", ["", WAITING_THREAD])
def test_runs_leave_nothing_to_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    for name, value in SINGLE_THREAD_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    output, seen = run_three_times(tmp_path, before)
    assert [line for line in output.splitlines() if line.startswith("code")] == ["code 0", "code 0", "code 1"]
    assert "executing ToyFlow for user:tester" in output
    assert "Step failure" in output
    assert [run["imported"] for run in seen] == [not before] * 3
    assert [run["problem"] for run in seen] == [False] * 3
    assert [run["left"] for run in seen] == [["FIRST"], [], []]
    assert {run["folder"] for run in seen} == {os.path.realpath(tmp_path)}
    assert len({str(run["drawn"]) for run in seen}) == 3


AGAIN = """
import json, time
from pathlib import Path
from flows.steps.processes.flow_forks import fork_flows
with fork_flows() as runner:
    runner.import_ahead(["train"])
    for _ in range(20):
        assert runner.run(["toy.py", "--no-pylint", "run"], {}, Path("log.txt")) == 0, Path("log.txt").read_text()
        if json.loads(Path("seen.jsonl").read_text().splitlines()[-1])["later"]:
            break
        time.sleep(2)
"""


def test_between_runs_of_one_flow_is_imported_what_its_later_tasks_need(tmp_path: Path) -> None:
    space = Workspace(tmp_path, NEW_PYTHON)
    (tmp_path / "toy.py").write_text(FLOW)
    space.run("-c", AGAIN)
    later = [json.loads(line)["later"] for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert later[0] is False
    assert later[-1] is True


KILLED = """
from pathlib import Path
from flows.steps.processes.flow_forks import fork_flows
with fork_flows() as runner:
    runner.import_ahead(["ingest"])
    for environment in ({"KILL": "yes"}, {}):
        print("code", runner.run(["toy.py", "--no-pylint", "run"], environment, Path("log.txt")), flush=True)
        print(Path("log.txt").read_text())
"""


def test_a_run_that_is_killed_is_not_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SINGLE_THREAD_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    space = Workspace(tmp_path, NEW_PYTHON)
    (tmp_path / "toy.py").write_text(FLOW)
    output = space.run("-c", KILLED)
    assert [line for line in output.splitlines() if line.startswith("code")] == ["code -9", "code 0"]
    assert "executing ToyFlow" in output.partition("code 0")[0]
    assert len((tmp_path / "seen.jsonl").read_text().splitlines()) == 1


WATCHED = """
import os
from flows.steps.processes.flow_forks import fork_flows
with fork_flows() as runner:
    runner.import_ahead(["ingest", "train"])
    os.makedirs("inner/.metaflow")
    os.chdir("inner")
    print("code", runner.run(["../toy.py", "--no-pylint", "run"], {}, None), flush=True)
"""


def test_a_run_is_where_its_command_is_and_writes_where_it_does(tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(FLOW)
    output = Workspace(tmp_path, NEW_PYTHON).run("-c", WATCHED)
    assert "executing ToyFlow" in output.partition("code 0")[0]
    assert (tmp_path / "inner/seen.jsonl").exists()
    assert (tmp_path / "inner/.metaflow/ToyFlow").is_dir()


INTERRUPTED = """
from flows.steps.processes.flow_forks import fork_flows
with fork_flows() as runner:
    runner.import_ahead(["ingest"])
    BEFORE
    try:
        runner.run(["slow.py"], {}, None)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print("code", runner.run(["next.py"], {}, None))
"""
SLOW_SCRIPT = """
import os, signal, time
try:
    os.killpg(0, signal.SIGINT)  # as a terminal does at Ctrl-C
    time.sleep(60)
except KeyboardInterrupt:
    print("the run has ended", flush=True)
"""


def run_interrupted(folder: Path, script: str, before: str) -> str:
    (folder / "slow.py").write_text(script)
    (folder / "next.py").write_text("raise SystemExit(3)")
    (folder / "command.py").write_text(INTERRUPTED.replace("BEFORE", before))
    code = "import subprocess, sys; subprocess.run([sys.executable, 'command.py'], start_new_session=True)"
    return Workspace(folder, NEW_PYTHON).run("-c", code)


@pytest.mark.parametrize("before", ["", "import polars"])  # which sets how Ctrl-C is received
def test_at_ctrl_c_a_run_ends_before_its_command_goes_on(tmp_path: Path, before: str) -> None:
    output = run_interrupted(tmp_path, SLOW_SCRIPT, before)
    assert output.index("the run has ended") < output.index("interrupted") < output.index("code 3")


def test_ctrl_c_before_a_run_is_forked_ends_it_too(tmp_path: Path) -> None:
    before = "import os, signal, threading; threading.Timer(0.1, os.killpg, (0, signal.SIGINT)).start()"
    output = run_interrupted(tmp_path, "import time\ntime.sleep(20)\nprint('slept')", before)
    assert output.index("interrupted") < output.index("code 3")
    assert "slept" not in output


TERMINATED = """
import sys
from flows.steps.processes.flow_forks import fork_flows
with fork_flows() as runner:
    runner.import_ahead(["ingest"])
    print("begun")
    print("code", runner.run(["terminate.py"], {}, None))
"""
TERMINATE_SCRIPT = """
import os, signal, time, psutil
print("the run", flush=True)
os.kill(psutil.Process(os.getppid()).ppid(), signal.SIGTERM)
time.sleep(60)
"""


def test_sigterm_is_passed_on_to_a_run_which_writes_after_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    (tmp_path / "terminate.py").write_text(TERMINATE_SCRIPT)
    assert Workspace(tmp_path, NEW_PYTHON).run("-c", TERMINATED).splitlines() == ["begun", "the run", "code -15"]


ENDED = """
import os, signal, time
from flows.steps.processes.flow_forks import fork_flows
with fork_flows():
    os.closerange(3, 100)  # as the kernel does before the process has ended
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_command_that_is_ended_without_a_run_says_nothing(tmp_path: Path) -> None:
    assert Workspace(tmp_path, NEW_PYTHON).run_unchecked("-c", ENDED) == ("", -15)
