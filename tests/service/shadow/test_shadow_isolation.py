"""The table of faults in docs/shadow.md: each test starts the real server, puts load on it and breaks something.

Whatever is broken: every request is answered as it would be without a shadow, to the last bit; every answer is in the
log once; and each model of the shadow has answered each of them once, or the shadow log says why not.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from penumbra.core.settings import PROJECT_ROOT
from penumbra.logs import append_log
from penumbra.logs.append_log import encode_json
from penumbra.registry import bundle
from problem import features, schema
from service.http.record_reader import Contract
from tests.helpers import faulty_bundles, local_service, local_shadow, registered_versions
from tests.helpers.http_load import HttpLoad

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

LIVE, CANDIDATE, PREVIOUS = "1", "2", "3"
ENOUGH, SOME, FIRST = 1000, 200, 10  # answers
LIMITS = {"shadow__timeout_seconds": 0.5, "shadow__memory_mb": 256, "shadow__batch_rows": 64}
RECORDS = [
    {**schema.EXAMPLE, "distance": 100 + 10 * n, **(local_shadow.TRIGGER_VALUES if n % 50 == 25 else {})}
    for n in range(100)
]
BODIES = [msgspec.json.encode(record) for record in RECORDS]
CONTRACT = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1)


class Place:
    """A folder with a live model, and the server over it."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], http: Any) -> None:
        self.folder = folder
        self.process = process
        self.http = http
        live = bundle.read_bundle(folder / "state/bundles" / LIVE, features.FEATURES, LIVE)
        self.expected = live.score(CONTRACT.to_frame([CONTRACT.parse_one(body) for body in BODIES])).tolist()

    def load(self, **more: Any) -> HttpLoad:
        return HttpLoad(self.http.base_url.port, BODIES, **more)

    def child(self, name: str) -> psutil.Process | None:
        """A process of the server whose command has this in it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if name in " ".join(process.cmdline()):
                        return process
        return None

    def metric(self, name: str) -> float:
        lines = self.http.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


@contextlib.contextmanager
def served(folder: Path, candidate: str = "", previous: bool = True, **settings: Any) -> Iterator[Place]:
    """The server with a live model, a candidate with this fault and a previous model; ready."""
    local_service.deploy_version(folder, LIVE, estimator=HistGradientBoostingClassifier(max_iter=50, random_state=1))
    local_shadow.point_role(folder, "candidate", CANDIDATE, candidate)
    if previous:
        local_shadow.point_role(folder, "previous", PREVIOUS)
    with local_service.start_server(folder, **{**LIMITS, **settings}) as (process, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, 60)
        yield Place(folder, process, http)


def answered(place: Place, load: HttpLoad, dropped: int = 0) -> list[str]:
    """Ids of the answers, none of which may be wrong; at most so many requests may have none."""
    assert len(load.answers) > 50
    assert {status for _, status, _ in load.answers} == {200}
    assert [answer["probability"] for _, _, answer in load.answers] == [place.expected[n] for n, _, _ in load.answers]
    assert load.dropped <= dropped
    return [answer["prediction_id"] for _, _, answer in load.answers if answer.get("logged", True)]


def logged(place: Place, ids: list[str], more: int = 0) -> None:
    """Each id is in the log exactly once; besides them at most so many."""
    found = local_shadow.read_logged_ids(place.folder)
    assert len(set(found)) == len(found)
    assert set(ids) <= set(found)
    assert len(found) - len(ids) <= more


def shadowed(place: Place, version: str = CANDIDATE) -> dict[str, list[dict[str, Any]]]:
    """Once each logged prediction has exactly one row of this model: those of healthy rows, those of `bad` ones."""
    everything = set(local_shadow.read_logged_ids(place.folder))
    local_service.wait_until(lambda: set(local_shadow.read_rows_by_id(place.folder, version)) == everything, 240)
    found: dict[str, list[dict[str, Any]]] = {"good": [], "bad": []}
    rows = local_shadow.read_rows_by_id(place.folder, version)
    for line in append_log.read_entries(place.folder / "predictions"):
        found["bad" if line["record"]["temp"] == faulty_bundles.TRIGGER_TEMP else "good"].append(rows[line["id"]])
    return found


def statuses(rows: list[dict[str, Any]]) -> set[str]:
    return {row["status"] for row in rows}


def holds(place: Place, load: HttpLoad, **more: int) -> None:
    """All that has to hold whatever was broken in the shadow."""
    logged(place, answered(place, load, **more))
    assert statuses([*shadowed(place, PREVIOUS)["good"], *shadowed(place, PREVIOUS)["bad"]]) == {"ok"}
    assert all(row["status"] == "ok" or row["reason"] for rows in shadowed(place).values() for row in rows)


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
    with served(tmp_path, fault) as place:
        load = place.load(pause=0.05).run_until(FIRST)
        local_service.wait_until(
            lambda: len(local_shadow.read_rows_by_id(tmp_path, CANDIDATE)) >= FIRST, 120
        )  # healthy ones, alone
        load.pause = 0.005
        holds(place, load.run_until(ENOUGH))
        found = shadowed(place)
        assert statuses(found["bad"]) <= bad
        assert statuses(found["good"]) <= good
        assert "ok" in statuses(found["good"])
        assert place.metric("penumbra_shadow_heartbeat_seconds") > time.time() - 30


def test_a_candidate_that_hangs_for_ever(tmp_path: Path) -> None:
    with served(tmp_path, shadow__timeout_seconds=3) as place:
        with place.load().run_in_background() as load:
            local_service.wait_until(lambda: place.child(f"bundles/{CANDIDATE}"), 60)
            place.child(f"bundles/{CANDIDATE}").send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
            load.wait_for_more(ENOUGH)
        holds(place, load)


def test_a_candidate_whose_bundle_is_damaged(tmp_path: Path) -> None:
    local_shadow.point_role(tmp_path, "candidate", CANDIDATE)
    (tmp_path / "state/bundles" / CANDIDATE / "model.onnx").write_bytes(b"damaged")
    with served(tmp_path) as place:
        holds(place, place.load().run_until(ENOUGH))
        assert statuses(shadowed(place)["good"]) == {"skipped"}
        assert "refused" in shadowed(place)["good"][0]["reason"]


def test_the_shadow_killed_20_times(tmp_path: Path) -> None:
    settings = {f"PENUMBRA_{key.upper()}": str(value) for key, value in {**LIMITS, "shadow__batch_rows": 8}.items()}
    environ = {**os.environ, **local_service.make_service_environment(tmp_path), **settings}

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "service.shadow.process"]
        return subprocess.Popen(command, cwd=PROJECT_ROOT, env=environ)

    chance = random.Random(2013)
    with served(tmp_path, shadow__enabled="false") as place, place.load(pause=0.05).run_in_background() as load:
        for _ in range(20):
            before, process = _size(tmp_path / "shadow"), start()
            local_service.wait_until(lambda before=before: _size(tmp_path / "shadow") > before + 2000, 120)  # type: ignore[misc]
            time.sleep(chance.random() / 20)
            process.kill()
            process.wait()
        load._stop.set()
        last = start()
        try:
            holds(place, load)
        finally:
            last.terminate()
            last.wait(60)
        assert statuses([*shadowed(place)["good"], *shadowed(place)["bad"]]) == {"ok"}


def test_the_shadow_killed_under_the_supervisor_is_started_again(tmp_path: Path) -> None:
    with served(tmp_path) as place:
        with place.load().run_in_background() as load:
            first = place.child("service.shadow.process")
            assert first
            first.kill()
            local_service.wait_until(
                lambda: (found := place.child("service.shadow.process")) and found.pid != first.pid, 60
            )
            load.wait_for_more(SOME)
        holds(place, load)
    assert "shadow ended with code -9, starts again in 0.5 s" in (tmp_path / "output").read_text()


def test_a_worker_killed(tmp_path: Path) -> None:
    with served(tmp_path, service__workers=2) as place:
        with place.load().run_in_background() as load:
            load.wait_for_more(SOME)
            worker = place.child("_bentoml_impl.worker.service")
            assert worker
            worker.kill()
            load.wait_for_more(ENOUGH)
        ids = answered(place, load, dropped=50)
        logged(place, ids, more=load.connections)
        assert statuses(shadowed(place)["good"]) == {"ok"}


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A small file system of its own there, and a function that changes its options; skips where that can't be."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount a file system: {done.stderr.strip()}")
    try:
        yield lambda new: subprocess.run(["mount", "-o", f"remount,{new}", folder], check=True)  # type: ignore[func-returns-value]
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize(("before", "after"), [("size=256k", "size=64m"), ("ro", "rw")])
def test_a_log_directory_that_is_full_or_read_only(tmp_path: Path, before: str, after: str) -> None:
    with mounted(tmp_path / "predictions", before) as remount, served(tmp_path) as place:
        with place.load().run_in_background() as load:
            local_service.wait_until(lambda: place.http.get("/readyz").status_code == 503, 60)
            assert "can't be written" in place.http.get("/readyz").json()["reason"]
            load.wait_for_more(SOME)
            remount(after)
            local_service.wait_until(lambda: place.http.get("/readyz").status_code == 200, 60)
            load.wait_for_more(SOME)
        ids = answered(place, load)
        assert 0 < len(ids) < len(load.answers)
        assert load.answers[-1][2].get("logged", True)
        logged(place, ids)
        holds(place, load)


def test_a_log_directory_that_is_deleted(tmp_path: Path) -> None:
    with served(tmp_path) as place:
        with place.load().run_in_background() as load:
            load.wait_for_more(SOME)
            shutil.rmtree(tmp_path / "predictions")
            load.wait_for_more(ENOUGH)
        holds(place, load)


def test_a_registry_that_is_gone(tmp_path: Path) -> None:
    with served(tmp_path, registry__tracking="http://127.0.0.1:9") as place:
        holds(place, place.load().run_until(ENOUGH))
        assert statuses(shadowed(place)["good"]) == {"ok"}


def test_sigterm_under_load(tmp_path: Path) -> None:
    with served(tmp_path) as place:
        with place.load().run_in_background() as load:
            load.wait_for_more(SOME)
            place.process.send_signal(signal.SIGTERM)
            assert place.process.wait(60) == 0
        logged(place, answered(place, load, dropped=len(load.answers) + 10_000))


def test_a_clock_that_was_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs were begun when the clock was an hour ahead."""
    with monkeypatch.context() as ahead:
        ahead.setattr(
            append_log, "_segment_name", lambda: f"{time.time_ns() // 1_000_000 + 3_600_000:011x}{os.urandom(3).hex()}"
        )
        local_shadow.log_entries(
            tmp_path, *(local_shadow.make_entry(distance, ago=-3600) for distance in (100, 200, 300))
        )
        local_shadow.point_role(tmp_path, "candidate", CANDIDATE)
        with local_shadow.start_role_worker(tmp_path, batch_rows=1) as made:
            local_shadow.step_until(made, lambda: len(local_shadow.read_rows_by_id(tmp_path, CANDIDATE)) == 2)
    with served(tmp_path) as place:
        load = place.load().run_until(ENOUGH)
        logged(place, answered(place, load), more=3)
        assert statuses(shadowed(place)["good"]) == {"ok"}


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
    with served(tmp_path) as place:
        with place.load().run_in_background() as load:
            noise = HttpLoad(place.http.base_url.port, bad, connections=4, pause=0)
            with noise.run_in_background():
                local_service.wait_until(lambda: len(noise.answers) >= 10_000, 120)
        assert {status // 100 for _, status, _ in noise.answers} == {4}
        assert noise.dropped == 0
        holds(place, load)


def test_20_hot_swaps_a_broken_one_among_them(tmp_path: Path) -> None:
    for version, seed in (("4", 4), ("5", 5)):
        local_service.make_bundle(tmp_path / "state/bundles" / version, seed)
    shutil.copytree(tmp_path / "state/bundles/4", tmp_path / "state/bundles/6")
    (tmp_path / "state/bundles/6/model.onnx").write_bytes(b"damaged")
    with served(tmp_path, previous=False) as place:
        with place.load().run_in_background() as load:
            for turn in range(20):
                aside = tmp_path / "state/.live"
                aside.write_text(("4", "5", "6", LIVE)[turn % 4])
                aside.replace(tmp_path / "state/live")
                time.sleep(0.25)
        by_their_versions(place, load, {LIVE, "4", "5"})


def test_aliases_moved_in_mlflow_are_followed_within_5_seconds(tmp_path: Path, database: Path) -> None:
    models = registered_versions.make_aliased_registry(tmp_path, database, live="1")
    with local_service.start_server(tmp_path) as (process, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, 60)
        place = Place(tmp_path, process, http)
        with place.load().run_in_background() as load:
            load.wait_for_more(SOME)
            for version in ("2", "3", "1", "2"):
                models.set_alias("live", version)
                local_service.wait_until(lambda: load.answers[-1][2]["model_version"] == version, 5)  # noqa: B023
            load.wait_for_more(SOME)
        by_their_versions(place, load, {"1", "2", "3"})


def by_their_versions(place: Place, load: HttpLoad, versions: set[str]) -> None:
    """Every request was answered, as the version that the answer names answers it, and all of these versions were."""
    frame = CONTRACT.to_frame([CONTRACT.parse_one(body) for body in BODIES])
    bundles = {
        each: bundle.read_bundle(place.folder / "state/bundles" / each, features.FEATURES, each) for each in versions
    }
    scores = {version: found.score(frame) for version, found in bundles.items()}
    assert load.dropped == 0
    assert {status for _, status, _ in load.answers} == {200}
    assert {answer["model_version"] for *_, answer in load.answers} == versions
    assert all(answer["probability"] == scores[answer["model_version"]][n] for n, _, answer in load.answers)
    logged(place, [answer["prediction_id"] for *_, answer in load.answers])


def _size(folder: Path) -> int:
    return sum(append_log.read_segment_sizes(folder).values())
