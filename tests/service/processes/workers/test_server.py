import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import service
from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.core.system.http_client import find_free_port
from penumbra.logs import append_log
from penumbra.registry import SIGNING_KEY_VARIABLE
from problem.schema import EXAMPLE, OUTCOME
from service.processes.workers import head_start, launcher
from service.processes.workers.supervisor import ChildProcess, Supervisor
from service.shadow import scorer_client
from tests.helpers.checkout import FLIGHTS, link_checkout
from tests.helpers.planted_secrets import PLANTED, find_planted_files
from tests.helpers.servers import local_service
from tests.helpers.servers.processes import run_service_to_its_end

SLICE, SHORT = "se.slice", 100_000
OWN = Path("/proc/self/sched").read_text() if Path("/proc/self/sched").exists() else ""


def read_slice_nanoseconds(pid: int) -> int | None:
    """In nanoseconds; None of the idle class."""
    lines = Path(f"/proc/{pid}/sched").read_text().splitlines()
    return next((int(line.split()[-1]) for line in lines if line.startswith(SLICE)), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server_without_model(folder: Path) -> Iterator[tuple[Any, httpx.Response, httpx.Response]]:
    """A running server, with what it answered before there was a model; its settings have secrets."""
    secrets = {
        "registry__tracking": f"sqlite:///file:{folder}/mlflow.db?uri=true&password={PLANTED}",
        "data__remote": f"http://me:{PLANTED}@127.0.0.1:1/data",
        "monitor__webhook": f"https://hooks.example.org/{PLANTED}",
        "review__webhook": f"http://127.0.0.1:9/{PLANTED}",
    }
    with local_service.start_server(folder, **secrets) as (process, http):
        local_service.wait_until(lambda: "being asked" not in http.get("/readyz").json()["reason"])
        yield (process, http), http.get("/readyz"), http.post("/predict", json=EXAMPLE)


@pytest.fixture(scope="module")
def http(server_without_model: Any, folder: Path) -> httpx.Client:
    """The same server with version 1, deployed while it ran."""
    local_service.deploy_version(folder, "1")
    client: httpx.Client = server_without_model[0][1]
    local_service.wait_until(lambda: client.get("/readyz").status_code == 200)
    return client


def test_a_server_without_a_model_starts_and_says_what_to_do(server_without_model: Any) -> None:
    _, ready, answer = server_without_model
    assert (ready.status_code, answer.status_code) == (503, 503)
    assert "make train" in ready.json()["reason"]


def test_the_first_model_is_picked_up_without_a_restart(http: httpx.Client) -> None:
    assert http.post("/predict", json=EXAMPLE).json()["model_version"] == "1"


def test_what_is_answered_is_in_the_log_on_disk(http: httpx.Client, folder: Path) -> None:
    answer = http.post("/predict", json=EXAMPLE).json()
    found = append_log.find_entry_in_segments(folder / "predictions", answer["prediction_id"])
    assert found is not None
    assert found["output"] == answer["probability"]


def test_a_new_version_is_swapped_in_without_an_error(http: httpx.Client, folder: Path) -> None:
    answers: list[dict[str, Any]] = [http.post("/predict", json=EXAMPLE).json()]
    local_service.deploy_version(folder, "2", seed=2)

    def swapped() -> bool:
        answer = http.post("/predict", json=EXAMPLE)
        assert answer.status_code == 200
        answers.append(answer.json())
        return answers[-1]["model_version"] == "2"

    local_service.wait_until(swapped)
    assert answers[0]["model_version"] == "1"


def test_a_running_service_writes_and_answers_no_secret_of_its_settings(http: httpx.Client, folder: Path) -> None:
    name = http.post("/predict", json=EXAMPLE).json()["prediction_id"]
    assert find_planted_files(folder) == []
    assert [path for path in ("/readyz", f"/explain/{name}", "/metrics") if PLANTED in http.get(path).text] == []


def test_metrics_count_requests_records_and_time(http: httpx.Client) -> None:
    names = ['penumbra_requests_total{status="2xx"}', "penumbra_records_total", "penumbra_request_seconds_count"]
    time.sleep(0.3)
    before = [read_metric(http, name) for name in names]
    http.post("/predict", json=[EXAMPLE] * 5)
    local_service.wait_until(
        lambda: [read_metric(http, name) for name in names] == [before[0] + 1, before[1] + 5, before[2] + 1]
    )


def test_a_label_is_attached_within_moments(http: httpx.Client) -> None:
    name = http.post("/predict", json=EXAMPLE).json()["prediction_id"]
    assert http.post("/feedback", json={"prediction_id": name, **OUTCOME}).status_code == 200
    local_service.wait_until(lambda: http.get(f"/explain/{name}").json()["labels"]["current"])
    assert http.get(f"/explain/{name}").json()["labels"]["current"]["label"] == OUTCOME


def test_metrics_count_labels_and_requests_to_feedback(http: httpx.Client) -> None:
    names = ["penumbra_labels_total", 'penumbra_feedback_requests_total{status="2xx"}']
    before = [read_metric(http, name) for name in names]
    http.post("/feedback", json=[{"prediction_id": "0" * 17 + "-0", **OUTCOME}] * 3)
    assert [read_metric(http, name) for name in names] == [before[0] + 3, before[1] + 1]


@pytest.mark.skipif(SLICE not in OWN, reason="this kernel doesn't tell a process's slice")
def test_only_the_worker_is_given_the_processor_in_short_slices(http: httpx.Client, server_without_model: Any) -> None:
    """So whoever else is at work, it has it at once when a request wakes it."""
    every = psutil.Process(server_without_model[0][0].pid).children(recursive=True)
    (short,) = (each for each in every if read_slice_nanoseconds(each.pid) == SHORT)
    assert [short] == local_service.find_workers(server_without_model[0][0].pid)


def test_metrics_name_the_live_version(http: httpx.Client) -> None:
    version = http.get("/readyz").json()["model_version"]
    assert read_metric(http, f'penumbra_live_model{{version="{version}"}}') == 1


def read_metric(http: httpx.Client, name: str) -> float:
    values = [line.split()[-1] for line in http.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(values[0]) if values else 0.0


def test_a_client_that_goes_away_in_the_middle_harms_nobody(http: httpx.Client) -> None:
    assert http.base_url.port
    with socket.create_connection(("127.0.0.1", http.base_url.port)) as half:
        half.sendall(
            b"POST /predict HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
    assert http.post("/predict", json=EXAMPLE).status_code == 200


def test_a_body_over_the_limit_is_refused_in_words(http: httpx.Client) -> None:
    answer = http.post("/predict", content=b" " * 10_000_000, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert "larger than" in answer.json()["error"]


def test_a_head_request_gets_no_body(http: httpx.Client) -> None:
    assert http.head("/readyz").content == http.head("/predict").content == b""


def test_the_output_is_a_few_plain_lines(http: httpx.Client, folder: Path) -> None:
    local_service.wait_until(lambda: "answers at" in (folder / "output").read_text())
    lines = (folder / "output").read_text()
    address = re.escape(str(http.base_url).rstrip("/"))
    assert re.search(f"flight-delay answers at {address}: version [12] is live\n", lines)  # 2 where this looked later
    assert "Traceback" not in lines
    assert len(lines.splitlines()) < 10


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path, http: httpx.Client) -> None:
    environ = local_service.make_service_environment(tmp_path, port=http.base_url.port)
    done = run_service_to_its_end(environ)
    assert done.returncode == 1
    assert done.stderr == (
        f"port {http.base_url.port} of 127.0.0.1 can't be used (address already in use): "
        "set PENUMBRA_SERVICE__PORT to another one\n"
    )


@pytest.mark.slow
def test_a_library_that_the_archive_takes_and_that_is_missing_ends_the_service_with_a_sentence(tmp_path: Path) -> None:
    environ = local_service.make_service_environment(tmp_path) | {"PENUMBRA_LOG__ARCHIVE": "gs://bucket/logs"}
    done = run_service_to_its_end(environ)
    assert (done.returncode, done.stderr) == (
        1,
        "environment variable PENUMBRA_LOG__ARCHIVE: log.archive = 'gs://bucket/logs' takes gcsfs, which isn't "
        "installed: install gcsfs\n",
    )


@pytest.mark.slow
def test_a_fault_in_the_problem_ends_the_service_with_a_sentence_that_names_the_file(tmp_path: Path) -> None:
    shutil.copytree(PROJECT_ROOT / "problem", tmp_path / "problem")
    with (tmp_path / "problem" / "schema.py").open("a") as schema:
        schema.write('TIME = "when"\n')
    port = find_free_port()
    environ = local_service.make_service_environment(tmp_path, port=port) | {"PYTHONPATH": str(PROJECT_ROOT)}
    done = run_service_to_its_end(environ, tmp_path)
    assert done.returncode == 1
    assert "problem/schema.py: TIME names the column 'when'" in done.stderr


def test_sigterm_ends_every_process_and_frees_the_port(http: httpx.Client, server_without_model: Any) -> None:
    process = server_without_model[0][0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    socket.create_server(("127.0.0.1", http.base_url.port)).close()  # type: ignore[arg-type]


def test_every_module_of_the_service_that_runs_as_a_process_is_started_by_one() -> None:
    sources = {path: path.read_text() for path in Path(service.__path__[0]).rglob("*.py")}
    runnable = {
        path.relative_to(PROJECT_ROOT).with_suffix("").as_posix().replace("/", ".")
        for path, source in sources.items()
        if 'if __name__ == "__main__":' in source
    }
    started = {*launcher.PROCESS_MODULES.values(), scorer_client.SCORER_MODULE}
    assert runnable == {"service.__main__", *started}


def has_ended(child: ChildProcess) -> bool:
    return child.process is not None and child.process.poll() == 0


SECRETS = {"AWS_SECRET_ACCESS_KEY", "FSSPEC_S3_KEY", "MLFLOW_TRACKING_PASSWORD", SIGNING_KEY_VARIABLE}
STORE_SECRETS = {"AWS_SECRET_ACCESS_KEY", "FSSPEC_S3_KEY"}


@pytest.mark.parametrize("niceness", [0, 19])
def test_the_shadow_gives_way_as_far_as_it_is_set(tmp_path: Path, niceness: int) -> None:
    environ = {**local_service.make_service_environment(tmp_path), "PENUMBRA_SHADOW__NICENESS": str(niceness)}
    children = launcher.list_service_processes(load_settings(environ=environ), [])
    given = {child.name: child.niceness for child in children[1:]}
    assert given == {"deployer": 0, "indexer": 5, "archiver": 10, "shadow": niceness}


@pytest.mark.slow
def test_keys_of_stores_are_for_readers_of_the_archive_and_the_shadow_has_no_secret(tmp_path: Path) -> None:
    given = {}
    for child in launcher.list_service_processes(local_service.make_service_settings(tmp_path), [])[1:]:
        child.command, child.log = [sys.executable, "-c", "import os; print(*os.environ)"], tmp_path / child.name
        child.keep_running(dict.fromkeys(SECRETS, "x"), time.monotonic())
        local_service.wait_until(partial(has_ended, child))
        given[child.name] = SECRETS & set(child.log.read_text().split())
    assert given == {
        **dict.fromkeys(("indexer", "archiver"), STORE_SECRETS),
        "deployer": {*STORE_SECRETS, "MLFLOW_TRACKING_PASSWORD"},
        "shadow": set(),
    }


@pytest.mark.slow
def test_a_worker_host_that_starts_ahead_of_the_settings_is_given_no_secret_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "x")
    waiting = head_start.start_ahead()
    assert waiting is not None
    process = waiting.release({}, [])
    variables = Path(f"/proc/{process.pid}/environ").read_text().split("\0")
    assert {variable.partition("=")[0] for variable in variables} & SECRETS == STORE_SECRETS
    local_service.wait_until(lambda: process.poll() == 0, 60)  # as it was sent nothing


def test_where_there_are_api_keys_the_worker_host_waits_for_the_launcher_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENUMBRA_KEYS__PREDICT", "x")
    assert head_start.start_ahead() is None


@pytest.mark.slow
def test_a_child_that_dies_is_started_again_ever_later(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    child = ChildProcess("short", [sys.executable, "-c", "raise SystemExit(3)"])
    supervisor = Supervisor([child], environment={})

    def stop_after_two_deaths() -> None:
        if child.restart_delay > 1:
            supervisor.stop()

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        supervisor.run(stop_after_two_deaths)
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
    assert "short ended with code 3, starts again in 0.5 s" in capfd.readouterr().err
    assert child.restart_delay == 2


@pytest.mark.slow
def test_after_a_change_of_features_and_a_restart_the_live_version_answers_what_it_answered_before(
    tmp_path: Path,
) -> None:
    changed = shutil.copytree(FLIGHTS, tmp_path / "problem")
    features = (changed / "features.py").read_text()
    less = features.replace('    Number("visib"),\n', "")
    assert less != features
    (changed / "features.py").write_text(less)
    (tmp_path / "checkout").mkdir()
    local_service.deploy_version(tmp_path, "1")
    answers = []
    for project in (PROJECT_ROOT, link_checkout(tmp_path / "checkout", changed)):
        with local_service.start_server(tmp_path, project) as (_, http):
            local_service.wait_until(lambda http=http: http.get("/readyz").status_code == 200, 30)
            listed = http.post("/predict", json=[EXAMPLE] * 2).json()
            answers.append([answer["probability"] for answer in [*listed, http.post("/predict", json=EXAMPLE).json()]])
    assert answers[0] == answers[1]
    assert len(set(answers[0])) == 1
