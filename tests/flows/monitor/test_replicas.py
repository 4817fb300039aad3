"""Flows in an empty folder judge the logs of all replicas, which lie on the store: each row counts once."""

import datetime as dt
import shutil
from pathlib import Path

import msgspec
import pytest

from flows.steps.monitor import due_windows
from flows.steps.promote import promotion_case, verdicts
from monitoring.windows.window_records import Window
from monitoring.windows.window_store import WindowStore
from penumbra.core.settings import Settings
from penumbra.registry.history.ledger_entries import LedgerEntry
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.storage.shared import lease
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.mirror import Mirror
from tests.helpers.cluster.shared_world import deal_logs, say_shipped, share_state
from tests.helpers.models import monitored_model as world
from tests.helpers.models import registered_versions
from tests.helpers.models.monitored_model import DONE, ONE_DAY, SECOND, WINDOW_BEGIN
from tests.helpers.models.registered_versions import (
    log_compared_days,
    score_calibrated,
    score_noisy,
    score_with_failures,
)


@pytest.fixture
def folder(tmp_path: Path, calm: Path) -> Path:
    """What one machine has of two weeks in which nothing happened, to be dealt to replicas."""
    shutil.copytree(calm, tmp_path, dirs_exist_ok=True)
    registered_versions.append_earlier_event(tmp_path, "promotion", "promote", live="1")
    return tmp_path


def get_moment(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), dt.UTC)


def watch(settings: Settings) -> list[str]:
    return due_windows.judge_due_windows(settings, world.PROBLEM)


def read_windows(folder: Path) -> list[Window]:
    """Without the time at which they were judged."""
    return [msgspec.structs.replace(each, judged=get_moment(DONE)) for each in world.read_windows(folder)]


@pytest.mark.slow
def test_windows_of_two_replicas_are_those_of_one_log_with_all_rows(folder: Path, calm: Path, bucket: str) -> None:
    alone = Path(shutil.copytree(calm, folder / "alone"))
    world.run_monitor_pass(alone, DONE)
    settings = share_state(world.make_monitor_settings(folder, DONE), f"{bucket}/state")
    for replica in deal_logs(settings, folder):
        say_shipped(replica, dt.datetime.now(dt.UTC))
    assert watch(settings) == []
    found = read_windows(folder)
    assert [(each.verdict, each.rows) for each in found] == [("ok", 840)] * 2
    assert found == read_windows(alone)


@pytest.mark.slow
def test_a_window_waits_for_a_replica_that_is_at_work_and_has_not_shipped_it(folder: Path) -> None:
    settings = share_state(world.make_monitor_settings(folder, DONE), str(folder / "shared"))
    ready, late = deal_logs(settings, folder)
    say_shipped(ready, dt.datetime.now(dt.UTC))
    say_shipped(late, get_moment(SECOND + ONE_DAY), predictions=3)
    (alarm,) = watch(settings)
    assert "has shipped its logs until 2013-04-12 12:00 UTC only: 3 predictions wait" in alarm
    assert [each.begin for each in world.read_windows(folder)] == [WINDOW_BEGIN]
    say_shipped(late, dt.datetime.now(dt.UTC))
    assert watch(settings) == []
    assert [each.begin for each in world.read_windows(folder)] == [WINDOW_BEGIN, SECOND]


@pytest.mark.slow
def test_a_window_counts_what_a_replica_that_was_lost_had_not_shipped(folder: Path) -> None:
    settings = share_state(world.make_monitor_settings(folder, DONE), str(folder / "shared"))
    ready, lost = deal_logs(settings, folder)
    say_shipped(ready, dt.datetime.now(dt.UTC))
    say_shipped(lost, get_moment(SECOND + ONE_DAY), seen=get_moment(SECOND + 2 * ONE_DAY), predictions=3)
    (alarm,) = watch(settings)
    assert "with 3 predictions on its volume only" in alarm
    limits = [[text for text in each.limits if "missing" in text] for each in world.read_windows(folder)]
    assert limits == [[], ["3 answers are missing, which replicas that were lost had not shipped yet"]]


@pytest.mark.slow
def test_what_a_machine_judged_that_was_halted_replaces_nothing_that_another_judged_meanwhile(
    tmp_path: Path, entered: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.log_monitored_days(entered, 14, wrong=True)
    halted = share_state(world.make_monitor_settings(tmp_path, DONE), f"{bucket}/state")
    for replica in deal_logs(halted, tmp_path):
        say_shipped(replica, dt.datetime.now(dt.UTC))
    own = {"monitor": halted.monitor.model_copy(update={"folder": tmp_path / "other" / "monitor"})}
    other = halted.model_copy(update=own)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(lease, "_keep_renewing", lambda *_: None)
    write, said = WindowStore.write, list[str]()

    def write_late(store: WindowStore, window: Window) -> Path:
        monkeypatch.setattr(WindowStore, "write", write)
        said.extend(due_windows.judge_due_windows(other, world.PROBLEM))
        return write(store, msgspec.structs.replace(window, reason="stale"))

    monkeypatch.setattr(WindowStore, "write", write_late)
    with pytest.raises(LeaseLost):
        watch(halted)
    entries = [each.reason for each in open_ledger(halted).entries() if each.kind == "verdict"]
    assert len(entries) == len(set(entries)) == 2
    shared = Mirror(tmp_path / "third" / "windows", f"{bucket}/state/monitor/windows")
    shared.fetch()
    judged = WindowStore(shared.folder.parent).read()
    assert judged == WindowStore(other.monitor.folder).read()
    assert [each.begin for each in judged] == [WINDOW_BEGIN, SECOND]


@pytest.mark.slow
def test_a_promotion_is_decided_on_the_answers_and_shadows_of_all_replicas(tmp_path: Path, database: Path) -> None:
    settings = make_compared_replicas(tmp_path, database, score_calibrated)
    verdict, promotion = judge(settings)
    days = registered_versions.NUMBER_OF_DAYS
    rows = 2 * days * registered_versions.ROWS_PER_DAY
    evidence = verdict.evidence["evidence"]
    assert (verdict.verdict, evidence["days"], evidence["labels"]) == ("promote", 2 * days, rows)
    assert verdict.evidence["shadow"]["rows"] == rows
    assert promotion.versions == {"live": "2", "previous": "1"}


@pytest.mark.slow
def test_failures_in_the_shadow_of_one_replica_reject_a_candidate(tmp_path: Path, database: Path) -> None:
    settings = make_compared_replicas(tmp_path, database, score_with_failures)
    (verdict,) = judge(settings)
    assert verdict.verdict == "reject"


@pytest.mark.slow
def test_days_that_a_replica_has_yet_to_ship_are_no_evidence(tmp_path: Path, database: Path) -> None:
    settings = make_compared_replicas(tmp_path, database, score_calibrated, behind=True)
    (verdict,) = judge(settings)
    assert (verdict.verdict, verdict.evidence["evidence"]["days"]) == ("keep collecting", 9)


@pytest.mark.slow
def test_a_promotion_pass_that_was_halted_enters_nothing_after_another_has_promoted(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halted = make_compared_replicas(tmp_path, database, score_calibrated)
    copy = {"ledger": halted.ledger.model_copy(update={"folder": tmp_path / "other" / "ledger"})}
    other = halted.model_copy(update=copy)
    cases = verdicts.judge_cases(halted, world.PROBLEM, verdicts.prepare_aliases(halted))
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(lease, "_keep_renewing", lambda *_: None)
    require = promotion_case.require_aliases

    def require_and_halt(models: ModelRegistry, before: dict[str, str]) -> None:
        require(models, before)
        monkeypatch.setattr(promotion_case, "require_aliases", require)
        verdicts.act_on_cases(other, cases)

    monkeypatch.setattr(promotion_case, "require_aliases", require_and_halt)
    with pytest.raises(LeaseLost, match="of this change of aliases expired"):
        verdicts.act_on_cases(halted, cases)
    assert [entry.kind for entry in open_ledger(halted).entries()] == ["verdict", "verdict", "promotion"]
    assert ModelRegistry(halted.registry).aliases() == {"live": "2", "previous": "1"}


def make_compared_replicas(
    folder: Path, database: Path, second: registered_versions.ScoreSimulator, behind: bool = False
) -> Settings:
    """Two replicas, one after the other, whose shadows score the candidate well and as `second` says."""
    registered_versions.make_aliased_registry(folder, database, live="1", candidate="2")
    registered_versions.append_earlier_event(folder, "verdict", "pass", candidate="2", live="1")
    days = registered_versions.NUMBER_OF_DAYS * ONE_DAY
    for number, says in enumerate((score_calibrated, second)):
        first = registered_versions.FIRST_TIME + number * days
        log_compared_days(folder, "1", {"2": says}, score_noisy, first)
    settings = share_state(registered_versions.make_registry_settings(folder), str(folder / "shared"))
    ready, late = deal_logs(settings, folder)
    say_shipped(ready, dt.datetime.now(dt.UTC))
    say_shipped(late, registered_versions.FIRST_TIME + 9 * ONE_DAY if behind else dt.datetime.now(dt.UTC))
    return settings


def judge(settings: Settings) -> list[LedgerEntry]:
    """A pass of `make promote`; what it enters."""
    cases = verdicts.judge_cases(settings, world.PROBLEM, verdicts.prepare_aliases(settings))
    verdicts.act_on_cases(settings, cases)
    return open_ledger(settings).entries()[1:]
