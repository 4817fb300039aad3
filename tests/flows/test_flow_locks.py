"""Two flows at once, as two processes: the second waits where it must, whatever becomes of the first."""

import signal

import pytest

from flows.steps.flow_locks import hold_flow_locks
from tests.helpers.flow_workspace import Workspace
from tests.helpers.local_service import wait_until

HOLD_UNTIL_TOLD = """
import pathlib, sys, time
from flows.steps.flow_locks import hold_flow_locks
with hold_flow_locks(sys.argv[3], ["flow.py", "--no-pylint", sys.argv[1]]):
    pathlib.Path(sys.argv[2]).touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / "space")


def start(space, name, command="run", flow="ingest"):
    return space.start("-c", HOLD_UNTIL_TOLD, command, name, flow)


@pytest.fixture
def first(space):
    """A process that is at work."""
    process = start(space, "first")
    wait_until((space.folder / "first").exists, seconds=60)
    yield process
    process.kill()
    process.communicate()


def test_the_second_says_who_is_at_work_since_when_and_goes_on_after_it(space, first):
    second = start(space, "second")
    assert "another ingest is at work (since 20" in (line := second.stdout.readline())
    assert f"process {first.pid}): this one waits for it" in line
    assert not (space.folder / "second").exists()
    (space.folder / "go").touch()
    assert (second.communicate(timeout=60)[0], second.returncode) == ("", 0)


def test_one_that_was_killed_keeps_nobody_waiting(space, first):
    first.send_signal(signal.SIGKILL)
    first.wait()
    (space.folder / "go").touch()
    assert start(space, "second").communicate(timeout=60)[0] == ""


def test_a_task_of_a_run_works_under_the_lock_of_its_run(space, first):
    task = start(space, "task", command="step")
    wait_until((space.folder / "task").exists, seconds=60)
    (space.folder / "go").touch()
    assert task.communicate(timeout=60)[0] == ""


def test_a_training_waits_for_the_ingest_beside_it(space, first):
    second = start(space, "second", flow="train")
    assert second.stdout.readline().startswith("ingest is at work (since 20")
    (space.folder / "go").touch()
    assert (second.communicate(timeout=60)[0], second.returncode) == ("", 0)


def test_wrong_settings_are_one_sentence(monkeypatch):
    monkeypatch.setenv("PENUMBRA_DATA__TOMORROW", "2013-01-01")
    words = r"unknown setting data\.tomorrow"
    with pytest.raises(SystemExit, match=words), hold_flow_locks("ingest", ["flows/ingest.py", "run"]):
        pass
