"""Many windows at once: tasks measure them side by side, and they come out as if one had judged them alone."""

import datetime as dt
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.steps.monitor import backlog, due_windows
from flows.steps.monitor.backlog import Backlog
from monitoring.windows.window_records import Window
from monitoring.windows.window_store import WindowStore
from penumbra.core.settings import Settings
from penumbra.registry.history.ledger_entries import LedgerEntry
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.storage.shared.mirror import Mirror
from tests.helpers.cluster.shared_world import deal_logs, say_shipped, share_state
from tests.helpers.models import monitored_model as world
from tests.helpers.models import registered_versions
from tests.helpers.models.monitored_model import ONE_DAY, PROBLEM, WINDOW_BEGIN

pytestmark = pytest.mark.slow
RUN = "argo-penumbra-monitor-x7"
DAYS = 5
DONE = WINDOW_BEGIN + (DAYS + 1) * ONE_DAY


@pytest.fixture(autouse=True)
def _small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MIN_WINDOWS_OF_A_TASK", 2)


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """Windows of a day each that nobody has judged, of a model that is too old."""
    folder = tmp_path_factory.mktemp("unjudged")
    world.make_live_model(folder, database)
    world.log_monitored_days(folder, DAYS)
    registered_versions.append_earlier_event(folder, "promotion", "promote", live="1")
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, unjudged: Path) -> "Judged":
    """The windows as one pass judges them."""
    folder = Path(shutil.copytree(unjudged, tmp_path_factory.mktemp("alone") / "one"))
    alarms = due_windows.judge_due_windows(make_settings(folder), PROBLEM)
    assert len(alarms) == 2
    return Judged(alarms, read_records(folder), list_verdicts(make_settings(folder)))


class Judged(NamedTuple):
    alarms: list[str]
    records: dict[str, bytes]
    verdicts: list[tuple[str, str]]


@pytest.fixture
def folder(tmp_path: Path, unjudged: Path) -> Path:
    return Path(shutil.copytree(unjudged, tmp_path / "one"))


def make_settings(folder: Path, state: str = "", today: dt.date = DONE) -> Settings:
    return share_state(world.make_monitor_settings(folder, today, window_days=1, every_days=1, cooldown_days=3), state)


def begin(settings: Settings, tasks: int = 2) -> Backlog:
    return backlog.begin_backlog(settings, PROBLEM, RUN, tasks)


def judge(settings: Settings, due: Backlog, *machines: Settings) -> list[str]:
    """Measure the shares, each on the next machine, and judge them; returns the alarms."""
    shares = [
        backlog.measure_share(machine, PROBLEM, due, share, RUN)
        for machine, share in zip(machines or [settings] * len(due.shares), due.shares, strict=False)
    ]
    return backlog.judge_backlog(settings, PROBLEM, due, [each for share in reversed(shares) for each in share])


def read_records(folder: Path, windows: str = "monitor/windows") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / windows).iterdir()}


def list_verdicts(settings: Settings) -> list[tuple[str, str]]:
    entries: list[LedgerEntry] = open_ledger(settings).entries()
    return [(each.verdict, each.reason) for each in entries if each.kind == "verdict"]


@pytest.mark.parametrize(
    ("windows", "tasks", "sizes"), [(1, 8, []), (3, 8, []), (4, 8, [2, 2]), (11, 4, [2, 3, 3, 3]), (99, 1, [])]
)
def test_windows_are_shared_out_in_order_where_each_task_has_enough(windows: int, tasks: int, sizes: list[int]) -> None:
    begins = [WINDOW_BEGIN + number * ONE_DAY for number in range(windows)]
    shares = backlog.share_windows(begins, tasks)
    assert [len(share) for share in shares] == sizes
    assert [day for share in shares for day in share] == (begins if sizes else [])


def test_records_and_alarms_of_two_tasks_are_those_of_one_to_the_byte(folder: Path, alone: Judged) -> None:
    settings = make_settings(folder)
    due = begin(settings)
    assert [len(share) for share in due.shares] == [2, 3]
    assert (due.alarms, (folder / "monitor/windows").exists()) == ([], False)
    assert Judged(judge(settings, due), read_records(folder), list_verdicts(settings)) == alone


def test_a_single_window_is_judged_at_once(folder: Path) -> None:
    due = begin(make_settings(folder, today=WINDOW_BEGIN + ONE_DAY))
    assert due.shares == []
    assert f"{WINDOW_BEGIN}.json" in read_records(folder)


def test_machines_with_empty_folders_measure_what_one_has_counted(
    tmp_path: Path, folder: Path, alone: Judged, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_settings(folder, f"{bucket}/state")
    for replica in deal_logs(first, tmp_path):
        say_shipped(replica, dt.datetime.now(dt.UTC))
    due = begin(first)
    pods = [make_pod(folder, tmp_path / name, f"{bucket}/state") for name in ("a", "b", "judge")]
    monkeypatch.setattr("penumbra.logs.indexing.index.LogIndex._insert", lambda *_: pytest.fail("counted again"))
    alarms = judge(pods[-1], due, *pods)
    assert Judged(alarms, read_records(tmp_path / "judge"), list_verdicts(pods[-1])) == alone
    shared = Mirror(tmp_path / "later" / "windows", f"{bucket}/state/monitor/windows")
    shared.fetch()
    assert read_records(tmp_path / "later", "windows") == alone.records


def make_pod(world_folder: Path, folder: Path, state: str) -> Settings:
    """A machine that has the models' registry, and nothing else."""
    here = make_settings(folder, state)
    settings = make_settings(world_folder, state)
    own = {"registry": settings.registry, "service": here.service.model_copy(update={"state": settings.service.state})}
    return here.model_copy(update=own)


def test_what_is_done_again_changes_nothing(folder: Path, alone: Judged) -> None:
    settings = make_settings(folder)
    due = begin(settings)
    backlog.measure_share(settings, PROBLEM, due, due.shares[0], RUN)
    assert judge(settings, due) == alone.alarms
    assert Judged(judge(settings, due), read_records(folder), list_verdicts(settings)) == alone._replace(alarms=[])


@pytest.mark.parametrize("written", [0, 3])
def test_judging_that_is_killed_after_an_entry_is_completed_by_its_retry(
    folder: Path, alone: Judged, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    settings, write, left = make_settings(folder), WindowStore.write, list(range(written))
    due = begin(settings)

    def be_killed(store: WindowStore, window: Window) -> Path:
        if not left:
            raise SystemExit(137)
        left.pop()
        return write(store, window)

    with monkeypatch.context() as killing:
        killing.setattr(WindowStore, "write", be_killed)
        with pytest.raises(SystemExit):
            judge(settings, due)
    judge(settings, due)
    assert (read_records(folder), list_verdicts(settings)) == (alone.records, alone.verdicts)


def test_a_pass_whose_machine_is_lost_between_two_steps_leaves_its_windows_to_the_next(
    folder: Path, alone: Judged
) -> None:
    settings = make_settings(folder)
    due = begin(settings)
    backlog.measure_share(settings, PROBLEM, due, due.shares[0], RUN)
    alarms = judge(settings, begin(settings))
    assert Judged(alarms, read_records(folder), list_verdicts(settings)) == alone


def test_windows_that_another_pass_judges_meanwhile_are_entered_once(folder: Path, alone: Judged) -> None:
    settings = make_settings(folder)
    due = begin(settings)
    assert due_windows.judge_due_windows(settings, PROBLEM) == alone.alarms
    assert Judged(judge(settings, due), read_records(folder), list_verdicts(settings)) == alone._replace(alarms=[])
