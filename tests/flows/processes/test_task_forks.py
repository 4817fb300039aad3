"""Tasks as forks of a process in which their imports are done: each is like a process of its own."""

import json
import re
from pathlib import Path

import psutil
import pytest

from flows.experiment import IMPORTED_AHEAD as OF_EXPERIMENTS
from flows.experiment import IMPORTED_LATER as OF_EXPERIMENTS_LATER
from flows.ingest import IMPORTED_AHEAD as OF_INGESTS
from flows.monitor import IMPORTED_AHEAD as OF_MONITORING
from flows.promote import IMPORTED_AHEAD as OF_PROMOTIONS
from flows.score import IMPORTED_AHEAD as OF_SCORING
from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
from flows.steps.processes.task_forks import METAFLOW_MODULES
from flows.train import IMPORTED_AHEAD as OF_TRAININGS
from flows.train import IMPORTED_LATER as OF_TRAININGS_LATER
from tests.helpers.flow_workspace import NEW_PYTHON, WAITING_THREAD, Workspace
from tests.helpers.servers.local_service import wait_until
from tests.helpers.servers.processes import is_alive, run_python

pytestmark = pytest.mark.slow

FLOW = """
import atexit, json, os, signal, sys, time
from metaflow import FlowSpec, environment, retry, step
from flows.steps.processes.task_forks import fork_tasks

class ToyFlow(FlowSpec):
    @environment(vars={"OMP_NUM_THREADS": "3", "TOY": "yes"})
    @retry(times=1, minutes_between_retries=0)
    @step
    def start(self):
        from metaflow import current
        if current.retry_count == 0 and "RETRIED" not in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        from threadpoolctl import threadpool_info
        import numpy
        print("drawn", numpy.random.rand())
        print("facts", json.dumps({
            "ahead": "wave" in sys.modules, "later": "chunk" in sys.modules,
            "is_child": os.getppid() == int(os.environ["RUN"]),
            "environ": [os.environ["TOY"], os.environ["METAFLOW_RUN_ID"]],
            "imported": [os.environ.get(name) for name in ("NEW", "GIVEN", "SECRET")], "words": sys.argv[-20:],
            "threads": [pool["num_threads"] for pool in threadpool_info()],
        }))
        import polars
        assert polars.DataFrame({"a": range(10000)}).group_by(polars.col("a") % 7).agg(polars.len()).height == 7
        self.next(self.end)

    @step
    def end(self):
        import numpy
        print("drawn", numpy.random.rand())
        print("alone", "TOY" not in os.environ, "chunk" in sys.modules)
        atexit.register(print, "over")
        if os.path.exists("wait"):
            os.symlink(str(os.getpid()), "waiting")
            time.sleep(60)
        sys.exit(int(os.environ.get("CODE", 0)))

if __name__ == "__main__":
    os.environ.setdefault("RUN", str(os.getpid()))
    with fork_tasks(sys.argv, ["no_such_module", "numpy", "polars", os.environ.get("AHEAD", "wave")], ["chunk"]):
        ToyFlow()
"""

CARD_FLOW = """
import os, sys, time
from metaflow import FlowSpec, card, step
from flows.steps.processes.task_forks import fork_tasks

class CardFlow(FlowSpec):
    @card(type="blank", timeout=-9)  # Metaflow waits for ten seconds more: for one
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    if "card" in sys.argv:
        CARD
    with fork_tasks(sys.argv, []):
        CardFlow()
"""


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    space = Workspace(tmp_path, NEW_PYTHON)
    (tmp_path / "toy.py").write_text(FLOW)
    return space


def run_toy(space: Workspace, monkeypatch: pytest.MonkeyPatch, **environ: str) -> str:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return space.run("toy.py", "--no-pylint", "run")


def read_facts(output: str) -> dict[str, object]:
    return dict(json.loads(re.findall(r"facts (.*)", output)[-1]))


def test_a_task_is_as_a_process_of_its_own_in_which_imports_are_done(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = run_toy(space, monkeypatch)
    facts = read_facts(output)
    assert (facts["ahead"], facts["is_child"]) == (True, True)
    assert facts["environ"][0] == "yes"  # type: ignore[index]
    assert {"step", "start", "--retry-count"} <= {*facts["words"]}  # type: ignore[misc]
    assert set(facts["threads"]) == {3}  # type: ignore[call-overload]
    assert re.search("alone True.*over", output, re.DOTALL)  # in the order of a process that ends
    assert "Task failed." in output  # at its first attempt


def test_an_import_ahead_has_its_effect_on_the_environment_of_each_task(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (space.folder / "setting.py").write_text(
        "import os\nfor name in ('NEW', 'GIVEN'):\n    os.environ.setdefault(name, 'by an import')\n"
        "del os.environ['SECRET']\n"
    )
    facts = read_facts(run_toy(space, monkeypatch, AHEAD="setting", GIVEN="by the caller", SECRET="key", RETRIED="no"))
    assert facts["imported"] == ["by an import", "by the caller", None]


def test_what_the_first_task_does_not_need_is_imported_beside_it(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = run_toy(space, monkeypatch, RETRIED="no")
    assert (read_facts(output)["later"], "alone True True" in output) == (False, True)


def test_tasks_draw_random_numbers_of_their_own(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = re.findall(r"drawn (.*)", run_toy(space, monkeypatch))
    assert (len(drawn), len(set(drawn))) == (2, 2)


def test_a_list_of_numbers_of_threads_is_read_as_by_openmp(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "alone True" in run_toy(space, monkeypatch, OMP_NUM_THREADS="2,1")


def test_a_run_fails_where_a_task_does(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE", "5")
    assert space.run_unchecked("toy.py", "--no-pylint", "run")[1] == 1


def test_where_an_import_starts_a_thread_each_task_imports_by_itself(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (space.folder / "threaded.py").write_text(WAITING_THREAD)
    facts = read_facts(run_toy(space, monkeypatch, AHEAD="threaded"))
    assert (facts["ahead"], facts["is_child"], facts["environ"][0]) == (False, True, "yes")  # type: ignore[index]


def test_a_card_is_rendered_in_the_environment_of_its_task(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY", "yes")
    (space.folder / "toy.py").write_text(CARD_FLOW.replace("CARD\n", "open('environ', 'w').write(os.environ['TOY'])\n"))
    assert "Card render failed" not in space.run("toy.py", "--no-pylint", "run")
    assert (space.folder / "environ").read_text() == "yes"
    assert list(space.folder.rglob("cards/*.html"))


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ("sys.exit('no space')", "no space"),
        ("raise ValueError('no chart')", "ValueError: no chart"),
        ("print('begun', flush=True); time.sleep(15); sys.exit()", "begun"),
    ],
)
def test_a_card_that_fails_or_hangs_is_given_up_with_its_reason(space: Workspace, card: str, reason: str) -> None:
    (space.folder / "toy.py").write_text(CARD_FLOW.replace("CARD\n", f"{card}\n"))
    output = space.run("toy.py", "--no-pylint", "run")
    assert "Card render failed with error" in output
    assert reason in output


def test_nothing_outlives_a_run_that_is_killed(space: Workspace) -> None:
    (space.folder / "wait").touch()
    run = space.start("toy.py", "--no-pylint", "run")
    wait_until((space.folder / "waiting").is_symlink, seconds=60)
    children = [child.pid for child in psutil.Process(run.pid).children(recursive=True)]
    assert int((space.folder / "waiting").readlink().name) in children
    run.kill()
    run.communicate()
    wait_until(lambda: not any(map(is_alive, children)), seconds=20)


@pytest.mark.parametrize(
    "modules",
    [
        (*OF_TRAININGS, *OF_TRAININGS_LATER),
        (*OF_EXPERIMENTS, *OF_EXPERIMENTS_LATER),
        OF_INGESTS,
        OF_MONITORING,
        OF_PROMOTIONS,
        OF_SCORING,
    ],
)
def test_what_is_imported_ahead_starts_no_thread_and_none_of_the_projects_own_code(modules: tuple[str, ...]) -> None:
    code = (
        f"import importlib, sys\n[importlib.import_module(name) for name in {[*METAFLOW_MODULES, *modules]}]\n"
        "from penumbra.core.system.process_tree import list_lost_threads\n"
        "print(list_lost_threads(), 'problem' in sys.modules)"
    )
    assert run_python(code, SINGLE_THREAD_ENVIRONMENT) == ["set() False"]
