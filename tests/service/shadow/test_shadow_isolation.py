"""The table of faults in docs/shadow.md: each test starts the real server, puts load on it and breaks something.

Whatever is broken: every request is answered as it would be without a shadow, to the last bit; every answer is in the
log once; and each model of the shadow has answered each of them once, or the shadow log says why not.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penumbra.core.settings import PROJECT_ROOT
from penumbra.logs import append_log
from penumbra.logs.append_log import encode_json
from penumbra.storage.sealed import replace_sealed_file
from problem import schema
from tests.helpers.logs import local_shadow
from tests.helpers.models import registered_versions
from tests.helpers.servers import local_service
from tests.helpers.servers.http_load import HttpLoad
from tests.helpers.servers.shadowed_server import (
    CANDIDATE,
    ENOUGH,
    FIRST,
    LIMITS,
    LIVE,
    SOME,
    ShadowedServer,
    check_answers_by_version,
    check_isolation,
    check_logged_once,
    collect_answer_ids,
    collect_statuses,
    measure_log_bytes,
    mount_small_filesystem,
    start_shadowed_server,
    wait_for_shadow_rows,
)

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize(
    ("fault", "bad", "good"),
    [
        ("raises", {"error"}, {"ok"}),
        ("nan", {"nan"}, {"ok"}),
        ("shape", {"shape"}, {"ok"}),
        ("burns", {"timeout", "skipped"}, {"ok", "timeout", "skipped"}),
        ("allocates", {"error", "timeout", "skipped"}, {"ok", "timeout", "skipped"}),
    ],
)
def test_a_candidate_that_goes_wrong_on_some_rows(tmp_path: Path, fault: str, bad: set[str], good: set[str]) -> None:
    with start_shadowed_server(tmp_path, fault) as server:
        load = server.make_load(pause=0.05).run_until(FIRST)
        local_service.wait_until(
            lambda: len(local_shadow.read_rows_by_id(tmp_path, CANDIDATE)) >= FIRST, 120
        )  # healthy ones, alone
        load.pause = 0.005
        check_isolation(server, load.run_until(ENOUGH))
        found = wait_for_shadow_rows(server)
        assert collect_statuses(found["bad"]) <= bad
        assert collect_statuses(found["good"]) <= good
        assert "ok" in collect_statuses(found["good"])
        assert server.read_metric("penumbra_shadow_heartbeat_seconds") > time.time() - 30


def test_a_candidate_that_hangs_for_ever(tmp_path: Path) -> None:
    with start_shadowed_server(tmp_path, shadow__timeout_seconds=3) as server:
        with server.make_load().run_in_background() as load:
            local_service.wait_until(lambda: local_shadow.read_rows_by_id(tmp_path, CANDIDATE), 60)  # it has loaded
            server.find_child(f"bundles/{CANDIDATE}").send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
            load.wait_for_more(ENOUGH)
        check_isolation(server, load)


def test_a_candidate_whose_bundle_is_damaged(tmp_path: Path) -> None:
    local_shadow.point_role(tmp_path, "candidate", CANDIDATE)
    (tmp_path / "state/bundles" / CANDIDATE / "model.onnx").write_bytes(b"damaged")
    with start_shadowed_server(tmp_path) as server:
        check_isolation(server, server.make_load().run_until(ENOUGH))
        assert collect_statuses(wait_for_shadow_rows(server)["good"]) == {"skipped"}
        assert "refused" in wait_for_shadow_rows(server)["good"][0]["reason"]


def test_the_shadow_killed_20_times(tmp_path: Path) -> None:
    settings = {f"PENUMBRA_{key.upper()}": str(value) for key, value in {**LIMITS, "shadow__batch_rows": 8}.items()}
    environ = {**os.environ, **local_service.make_service_environment(tmp_path), **settings}

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "service.shadow.process"]
        return subprocess.Popen(command, cwd=PROJECT_ROOT, env=environ, start_new_session=True)

    chance = random.Random(2013)
    with (
        start_shadowed_server(tmp_path, shadow__enabled="false") as server,
        server.make_load(pause=0.05).run_in_background() as load,
    ):
        for _ in range(20):
            before, process = measure_log_bytes(tmp_path / "shadow"), start()
            local_service.wait_until(lambda before=before: measure_log_bytes(tmp_path / "shadow") > before + 2000, 120)  # type: ignore[misc]
            time.sleep(chance.random() / 20)
            process.kill()
            process.wait()
        load._stop.set()
        last = start()
        try:
            check_isolation(server, load)
        finally:
            last.terminate()
            last.wait(60)
        assert collect_statuses([*wait_for_shadow_rows(server)["good"], *wait_for_shadow_rows(server)["bad"]]) == {"ok"}


def test_the_shadow_killed_under_the_supervisor_is_started_again(tmp_path: Path) -> None:
    with start_shadowed_server(tmp_path) as server:
        with server.make_load().run_in_background() as load:
            first = server.find_child("service.shadow.process")
            assert first
            first.kill()
            local_service.wait_until(
                lambda: (found := server.find_child("service.shadow.process")) and found.pid != first.pid, 60
            )
            load.wait_for_more(SOME)
        check_isolation(server, load)
    assert "shadow ended with code -9, starts again in 0.5 s" in (tmp_path / "output").read_text()


def test_a_worker_killed(tmp_path: Path) -> None:
    with start_shadowed_server(tmp_path, service__workers=2) as server:
        with server.make_load().run_in_background() as load:
            load.wait_for_more(SOME)
            local_service.find_workers(server.process.pid)[0].kill()
            load.wait_for_more(ENOUGH)
        ids = collect_answer_ids(server, load, dropped=50)
        check_logged_once(server, ids, more=load.connections)
        assert collect_statuses(wait_for_shadow_rows(server)["good"]) == {"ok"}


@pytest.mark.parametrize(("before", "after"), [("size=256k", "size=64m"), ("ro", "rw")])
def test_a_log_directory_that_is_full_or_read_only(tmp_path: Path, before: str, after: str) -> None:
    with mount_small_filesystem(tmp_path / "predictions", before) as remount, start_shadowed_server(tmp_path) as server:
        with server.make_load().run_in_background() as load:
            local_service.wait_until(lambda: server.http.get("/readyz").status_code == 503, 60)
            assert "can't be written" in server.http.get("/readyz").json()["reason"]
            load.wait_for_more(SOME)
            remount(after)
            local_service.wait_until(lambda: server.http.get("/readyz").status_code == 200, 60)
            load.wait_for_more(SOME)
        ids = collect_answer_ids(server, load)
        assert 0 < len(ids) < len(load.answers)
        assert load.answers[-1][2].get("logged", True)
        check_logged_once(server, ids)
        check_isolation(server, load)


def test_a_log_directory_that_is_deleted(tmp_path: Path) -> None:
    with start_shadowed_server(tmp_path) as server:
        with server.make_load().run_in_background() as load:
            load.wait_for_more(SOME)
            shutil.rmtree(tmp_path / "predictions")
            load.wait_for_more(ENOUGH)
        check_isolation(server, load)


def test_a_registry_that_is_gone(tmp_path: Path) -> None:
    with start_shadowed_server(tmp_path, registry__tracking="http://127.0.0.1:9") as server:
        check_isolation(server, server.make_load().run_until(ENOUGH))
        assert collect_statuses(wait_for_shadow_rows(server)["good"]) == {"ok"}


def test_sigterm_under_load(tmp_path: Path) -> None:
    with start_shadowed_server(tmp_path) as server:
        with server.make_load().run_in_background() as load:
            load.wait_for_more(SOME)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(60) == 0
        check_logged_once(server, collect_answer_ids(server, load, dropped=len(load.answers) + 10_000))


def test_a_clock_that_was_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs were begun when the clock was an hour ahead."""
    with monkeypatch.context() as ahead:
        ahead.setattr(
            append_log,
            "_make_segment_name",
            lambda: f"{time.time_ns() // 1_000_000 + 3_600_000:011x}{os.urandom(3).hex()}",
        )
        local_shadow.log_entries(
            tmp_path, *(local_shadow.make_entry(distance, ago=-3600) for distance in (100, 200, 300))
        )
        local_shadow.point_role(tmp_path, "candidate", CANDIDATE)
        with local_shadow.start_role_worker(tmp_path, batch_rows=1) as made:
            local_shadow.step_until(made, lambda: len(local_shadow.read_rows_by_id(tmp_path, CANDIDATE)) == 2)
    with start_shadowed_server(tmp_path) as server:
        load = server.make_load().run_until(ENOUGH)
        check_logged_once(server, collect_answer_ids(server, load), more=3)
        assert collect_statuses(wait_for_shadow_rows(server)["good"]) == {"ok"}


def test_10000_malformed_requests_in_between(tmp_path: Path) -> None:
    bad = [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"carrier": 1}',
        b"\xff" * 100,
        b'{"x":' * 500,
        encode_json({**schema.EXAMPLE, "temp": 1e9}),
    ]
    with start_shadowed_server(tmp_path) as server:
        with server.make_load().run_in_background() as load:
            noise = HttpLoad(server.http.base_url.port, bad, connections=4, pause=0)
            with noise.run_in_background():
                local_service.wait_until(lambda: len(noise.answers) >= 10_000, 120)
        assert {status // 100 for _, status, _ in noise.answers} == {4}
        assert noise.dropped == 0
        check_isolation(server, load)


def test_20_hot_swaps_a_broken_one_among_them(tmp_path: Path) -> None:
    for version, seed in (("4", 4), ("5", 5)):
        local_service.make_bundle(tmp_path / "state/bundles" / version, seed)
    shutil.copytree(tmp_path / "state/bundles/4", tmp_path / "state/bundles/6")
    (tmp_path / "state/bundles/6/model.onnx").write_bytes(b"damaged")
    with start_shadowed_server(tmp_path, previous=False) as server:
        with server.make_load().run_in_background() as load:
            for turn in range(20):
                replace_sealed_file(tmp_path / "state/live", ("4", "5", "6", LIVE)[turn % 4])
                time.sleep(0.25)
        check_answers_by_version(server, load, {LIVE, "4", "5"})


def test_aliases_moved_in_mlflow_are_followed_within_5_seconds(tmp_path: Path, database: Path) -> None:
    models = registered_versions.make_aliased_registry(tmp_path, database, live="1")
    with local_service.start_server(tmp_path) as (process, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, 60)
        server = ShadowedServer(tmp_path, process, http)
        with server.make_load().run_in_background() as load:
            load.wait_for_more(SOME)
            for version in ("2", "3", "1", "2"):
                models.set_alias("live", version)
                local_service.wait_until(lambda: load.answers[-1][2]["model_version"] == version, 5)  # noqa: B023
            load.wait_for_more(SOME)
        check_answers_by_version(server, load, {"1", "2", "3"})
