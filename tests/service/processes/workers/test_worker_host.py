"""Workers that hang or die are replaced, nothing survives its owner, and API keys are in no environment."""

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from penumbra.core.system.process_tree import list_lost_threads
from problem.schema import EXAMPLE
from service.inference.blocked_records import read_events
from tests.helpers.models import faulty_bundles
from tests.helpers.servers import local_service
from tests.helpers.servers.processes import run_service_to_its_end

pytestmark = pytest.mark.slow

KEY = "predict-key-of-a-test"
HANGING = {**EXAMPLE, "temp": faulty_bundles.TRIGGER_TEMP, "dewp": faulty_bundles.TRIGGER_TEMP}
SETTINGS = {"service__hang_seconds": 1, "shadow__enabled": False, "registry__tracking": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The live model never returns from a record that hangs; the previous one does."""
    folder = tmp_path_factory.mktemp("workers")
    bundles = folder / "state/bundles"
    faulty_bundles.make_faulty_bundle(bundles / "2", "burns")
    local_service.make_bundle(bundles / "1")
    (folder / "state/live").write_text("2")
    (folder / "state/previous").write_text("1")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    keys = {"keys__predict": KEY, "keys__admin": f"admin{KEY}"}
    with local_service.start_server(folder, **SETTINGS, **keys) as (process, http):
        http.headers["authorization"] = f"Bearer admin{KEY}"
        http.timeout = httpx.Timeout(60)
        yield process, http


def post_again(http: httpx.Client, record: Any) -> Any:
    """What comes at last: a request whose connection ends is sent once more, on a new one."""
    for _ in range(2):
        try:
            return http.post("/predict", json=record).json()
        except httpx.TransportError:
            continue
    raise AssertionError("no answer to the second request either")


def test_api_keys_are_in_no_environment(server: Any) -> None:
    children = psutil.Process(server[0].pid).children(recursive=True)
    assert len(children) >= 4
    for process in [psutil.Process(server[0].pid), *children]:
        environ = Path(f"/proc/{process.pid}/environ").read_text()
        assert KEY not in environ
    assert httpx.post(f"{server[1].base_url}/predict", json=EXAMPLE, trust_env=False).status_code == 401
    assert server[1].post("/predict", json=EXAMPLE).json()["model_version"] == "2"


def test_the_host_has_no_thread_that_its_workers_would_miss(server: Any) -> None:
    assert list_lost_threads(local_service.find_host(server[0].pid).pid) == set()


def test_a_worker_that_hangs_is_replaced_and_the_record_blocked(server: Any, folder: Path) -> None:
    process, http = server
    (worker,) = local_service.find_workers(process.pid)
    answer = post_again(http, HANGING)
    assert (answer["model_version"], answer["fallback"]) == ("1", "previous")
    assert not worker.is_running()
    assert http.post("/predict", json=EXAMPLE).json()["model_version"] == "2"
    assert [each["model_version"] for each in http.post("/predict", json=[EXAMPLE, HANGING]).json()] == ["2", "1"]
    (event,) = read_events(folder / "state")
    output = (folder / "output").read_text()
    assert "worker 1 stood still for 1." in output
    assert f"(hung) was scoring 1 record(s) by version 2: {event.records[0].digest}; blocked" in output
    assert "live_model.py" in output  # where it hung
    assert str(faulty_bundles.TRIGGER_TEMP) not in output
    assert "penumbra_blocked_records 1.0" in http.get("/metrics").text


def test_a_record_of_a_list_that_hangs_ends_the_worker_as_soon_and_is_blocked_once_it_was_alone(
    server: Any, folder: Path
) -> None:
    records = [EXAMPLE, {**HANGING, "wind_speed": 1.5}]
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            server[1].post("/predict", json=records)
    assert [each["model_version"] for each in server[1].post("/predict", json=records).json()] == ["2", "1"]
    assert (folder / "output").read_text().count("a part of a list has been scored for ") == 2


def test_a_worker_that_is_killed_is_replaced(server: Any) -> None:
    process, http = server
    (worker,) = local_service.find_workers(process.pid)
    worker.kill()
    assert post_again(http, EXAMPLE)["model_version"] == "2"
    assert worker not in local_service.find_workers(process.pid)


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    local_service.deploy_version(tmp_path, "1")
    with local_service.start_server(tmp_path, **SETTINGS, service__workers=2) as server:
        yield server


def count_connections(pid: int) -> list[int]:
    """How many connections each worker has."""
    found = [worker.net_connections("tcp") for worker in local_service.find_workers(pid)]
    return [sum(each.status == psutil.CONN_ESTABLISHED for each in connections) for connections in found]


def test_connections_are_spread_evenly_again_after_a_worker_was_replaced(two_workers: Any) -> None:
    process, http = two_workers
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=http.base_url, trust_env=False)) for _ in range(8)]

        def are_even(
            post: Callable[[httpx.Client], Any] = lambda client: client.post("/predict", json=EXAMPLE),
        ) -> bool:
            for client in clients:
                post(client)
            with socket.create_connection((http.base_url.host, http.base_url.port), 10) as newcomer:
                newcomer.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert newcomer.recv(1000).startswith(b"HTTP/1.1 200")
            counts = count_connections(process.pid)
            return len(counts) == 2 and min(counts) >= 4

        local_service.wait_until(are_even, 60)
        killed = local_service.find_workers(process.pid)[0]
        killed.kill()
        killed.wait(10)
        assert not are_even(lambda client: post_again(client, EXAMPLE))
        local_service.wait_until(are_even, 60)


def test_a_second_service_on_the_same_state_is_refused_in_a_sentence(server: Any, folder: Path) -> None:
    environ = local_service.make_service_environment(folder, port=local_service.find_free_port())
    done = run_service_to_its_end(environ)
    assert done.returncode == 1
    assert done.stderr == (
        f"another service works in {folder}/state: end it, or set PENUMBRA_SERVICE__STATE to another folder\n"
    )


def test_whoever_kills_the_launcher_ends_everything_and_frees_the_port(server: Any) -> None:
    process, http = server
    tree = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    _, alive = psutil.wait_procs(tree, 20)
    assert alive == []
    socket.create_server(("127.0.0.1", http.base_url.port)).close()
