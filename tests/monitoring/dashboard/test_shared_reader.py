"""What other machines left reaches the dashboard's own folders."""

import logging
from pathlib import Path

import pytest

from monitoring.dashboard.processes import list_dashboard_processes
from monitoring.dashboard.shared_reader import fetch_shown_state
from penumbra.core.loading.problem_loading import load_checked_problem
from penumbra.logs.indexing.index import LogIndex
from penumbra.storage.shared.mirror import Mirror
from penumbra.storage.shared.state import SharedState
from tests.helpers.logs.replica_logs import log_answers, make_replica, ship

SCHEMA = load_checked_problem(["schema"]).schema


def test_windows_of_the_monitor_and_answers_of_all_replicas_are_here(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    replicas = [make_replica(tmp_path / name, url) for name in ("one", "two")]
    for replica in replicas:
        log_answers(replica, 1, 2, 3)
        ship(replica)
    state = SharedState(url)
    (tmp_path / "flow/windows").mkdir(parents=True)
    (tmp_path / "flow/windows/2013-04-07.json").write_text("{}")
    Mirror(tmp_path / "flow", state.locate("monitor")).push()
    here = make_replica(tmp_path / "dashboard", url)
    fetch_shown_state(here, state, lambda: LogIndex.of_all_replicas(here, SCHEMA))
    assert (here.monitor.folder / "windows/2013-04-07.json").read_text() == "{}"
    with LogIndex.from_settings(here, SCHEMA).open() as db:
        assert db.execute("SELECT count(*) FROM predictions").fetchone() == (6,)


def test_what_one_part_of_the_store_refuses_does_not_keep_the_other_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "monitor").write_text("a file where a folder is to be")
    here, caught_up = make_replica(tmp_path, str(tmp_path / "store")), []
    state = SharedState(str(tmp_path / "store"))
    Path(state.locate("monitor")).mkdir(parents=True)
    Path(state.locate("monitor"), "window.json").write_text("{}")
    with caplog.at_level(logging.ERROR):
        fetch_shown_state(here, state, lambda: caught_up.append(True))
    assert caught_up == [True]
    assert "trying again" in caplog.text


def test_only_where_machines_share_their_state_something_is_fetched(tmp_path: Path) -> None:
    ports = {"overview": 1, "mlflow": 2, "evidently": 3}
    fetching = {
        state: {"deployer", "reader"} & {each.name for each in list_dashboard_processes(settings, ports, tmp_path)}
        for state in ("", str(tmp_path / "store"))
        for settings in [make_replica(tmp_path, state)]
    }
    assert fetching == {"": set(), str(tmp_path / "store"): {"deployer", "reader"}}
