"""Two flows at once, as two processes: the second waits where it must, whatever becomes of the first."""

import contextlib
import signal
from pathlib import Path

import pytest

from flows.steps.processes.flow_locks import hold_flow_locks, hold_monitor_pass, list_work_locks
from flows.train import is_trained_meanwhile
from penumbra.core.settings import Settings, load_settings
from penumbra.storage.shared.object_sequence import ObjectSequence
from penumbra.storage.shared.state import exclude_machines
from penumbra.storage.work_lock import PassInProgress, WorkInProgress
from tests.helpers.flow_workspace import NEW_PYTHON, Workspace
from tests.helpers.servers.local_service import wait_until

HOLD_UNTIL_TOLD = """
import pathlib, sys, time
from flows.steps.processes.flow_locks import hold_flow_locks
with hold_flow_locks(sys.argv[3], ["flow.py", "--no-pylint", sys.argv[1]]):
    pathlib.Path(sys.argv[2]).touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / "space", NEW_PYTHON)


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


@pytest.mark.slow
def test_the_second_says_who_is_at_work_since_when_and_goes_on_after_it(space, first):
    second = start(space, "second")
    assert "another ingest is at work (since 20" in (line := second.stdout.readline())
    assert f"process {first.pid}): this one waits for it" in line
    assert not (space.folder / "second").exists()
    (space.folder / "go").touch()
    assert (second.communicate(timeout=60)[0], second.returncode) == ("", 0)


@pytest.mark.slow
def test_one_that_was_killed_keeps_nobody_waiting(space, first):
    first.send_signal(signal.SIGKILL)
    first.wait()
    (space.folder / "go").touch()
    assert start(space, "second").communicate(timeout=60)[0] == ""


@pytest.mark.slow
def test_a_task_of_a_run_works_under_the_lock_of_its_run(space, first):
    task = start(space, "task", command="step")
    wait_until((space.folder / "task").exists, seconds=60)
    (space.folder / "go").touch()
    assert task.communicate(timeout=60)[0] == ""


@pytest.mark.slow
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


@pytest.fixture
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penumbra.storage.shared.lease.LEASE_SECONDS", 0.9)


def make_machine(folder: Path, name: str) -> Settings:
    """The settings of a machine with folders of its own that shares its state."""
    places = {"DATA__DERIVED": "derived", "TRAINING__FOLDER": "train", "MONITOR__FOLDER": "monitor"}
    own = {f"PENUMBRA_{setting}": str(folder / name / place) for setting, place in places.items()}
    return load_settings(environ=own | {"PENUMBRA_CLUSTER__STATE": str(folder / "shared")})


@pytest.mark.slow
@pytest.mark.usefixtures("_short_leases")
@pytest.mark.parametrize("flow", ["ingest", "train"])
def test_of_two_machines_one_ingests_or_trains(tmp_path: Path, flow: str) -> None:
    with contextlib.ExitStack() as held:
        for lock in list_work_locks(flow, make_machine(tmp_path, "one")):  # type: ignore[arg-type]
            held.enter_context(lock)
        with (
            pytest.raises(WorkInProgress, match=f"another {flow} is at work"),
            exclude_machines(make_machine(tmp_path, "two"), flow, wait=False),
        ):
            pass
    with exclude_machines(make_machine(tmp_path, "two"), flow, wait=False):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("_short_leases")
@pytest.mark.parametrize("name", ["watch", "retrain"])
def test_of_two_schedulers_one_makes_the_pass_and_the_other_says_so(tmp_path: Path, name: str) -> None:
    words = f"another machine's pass is at it: another {name} is at work .*; this one has nothing to do"
    with (
        hold_monitor_pass(make_machine(tmp_path, "one"), name),  # type: ignore[arg-type]
        pytest.raises(PassInProgress, match=words),
        hold_monitor_pass(make_machine(tmp_path, "two"), name),  # type: ignore[arg-type]
    ):
        pass


def test_a_flow_that_lost_its_lease_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", str(tmp_path / "shared"))
    monkeypatch.setenv("PENUMBRA_DATA__DERIVED", str(tmp_path))
    leases = ObjectSequence(str(tmp_path / "shared" / "leases" / "ingest"))
    with (
        pytest.raises(SystemExit, match="of this ingest expired, and now another ingest is at work"),
        hold_flow_locks("ingest", ["", "run"]),
    ):
        leases.create(2, leases.read(1).replace(b'"token":"', b'"token":"another ', 1))


def test_machines_that_share_nothing_are_in_nobodys_way(tmp_path: Path) -> None:
    settings = make_machine(tmp_path, "one").model_copy(update={"cluster": load_settings().cluster})
    with exclude_machines(settings, "ingest"), exclude_machines(settings, "ingest", wait=False) as has_waited:
        assert not has_waited
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_doesnt_suit_the_target_is_one_sentence_after_the_wait_too(monkeypatch):
    monkeypatch.setenv("PENUMBRA_PROMOTION__LOSS", "squared_error")
    with pytest.raises(SystemExit, match=r"PENUMBRA_PROMOTION__LOSS: promotion\.loss = 'squared_error'"):
        is_trained_meanwhile()
