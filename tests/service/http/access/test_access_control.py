"""Keys and limits: who is answered, how many at once, and for how long."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.settings import PROJECT_ROOT, SettingsError, load_settings
from problem.schema import EXAMPLE
from service.http.access.access_control import (
    AccessControl,
    find_key_holder,
    load_key_digests,
    read_keys,
    require_safe_access,
    store_key_digests,
)
from service.http.access.guard import RequestLimits, guard_app
from service.http.refusals import RequestRefused
from tests.helpers.servers import local_service

ENVIRONMENT = {
    "PENUMBRA_KEYS__PREDICT": "predict-key-of-web, predict-key-of-app",
    "PENUMBRA_KEYS__FEEDBACK": "feedback-key-of-ops",
    "PENUMBRA_KEYS__METRICS": "metrics-key-of-prometheus",
    "PENUMBRA_KEYS__ADMIN": "admin-key-of-anna",
}
KEYS = read_keys(ENVIRONMENT)
PREDICT, FEEDBACK, ADMIN = "predict-key-of-app", "feedback-key-of-ops", "admin-key-of-anna"
METRICS = "metrics-key-of-prometheus"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("access")
    local_service.deploy_version(folder, "1")
    with local_service.open_test_client(folder, keys=KEYS) as http:
        yield http


def send_request(client: Any, method: str, path: str, key: str | None) -> Any:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return client.request(method, path, headers=headers, json=EXAMPLE if method == "POST" else None)


@pytest.mark.parametrize("key", [PREDICT, "predict-key-of-web", ADMIN])
def test_predictions_are_for_keys_to_predict_and_for_admins(client: Any, key: str) -> None:
    assert send_request(client, "POST", "/predict", key).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("POST", "/predict", FEEDBACK),
        ("POST", "/feedback", PREDICT),
        ("GET", "/explain/019fa1c2d3e4b5a69-0", PREDICT),
        ("GET", "/metrics", PREDICT),
        ("GET", "/docs.json", FEEDBACK),
        ("POST", "/predict", METRICS),
        ("GET", "/explain/019fa1c2d3e4b5a69-0", METRICS),
        ("GET", "/", PREDICT),
        ("POST", "/predict/", PREDICT),
        ("POST", "//predict", PREDICT),
    ],
)
def test_a_key_for_one_thing_is_refused_for_another(client: Any, method: str, path: str, key: str) -> None:
    answer = send_request(client, method, path, key)
    assert answer.status_code == 403
    assert "this key is for" in answer.json()["error"]
    assert answer.json()["details"] == []


@pytest.mark.parametrize("key", [METRICS, ADMIN])
def test_metrics_are_for_keys_of_their_own_and_for_admins(key: str) -> None:
    headers = [(b"authorization", f"Bearer {key}".encode())]
    AccessControl(KEYS, is_open=False).check({"path": "/metrics", "headers": headers})


@pytest.mark.parametrize("path", ["/docs.json", "/", "/explain/019fa1c2d3e4b5a69-0"])
def test_an_admin_may_look_at_everything(client: Any, path: str) -> None:
    assert send_request(client, "GET", path, ADMIN).status_code in (200, 404)


@pytest.mark.parametrize("key", [None, "", "wrong", PREDICT[:-1], PREDICT + "x", f"{PREDICT},{ADMIN}", "\xff" * 20])
@pytest.mark.parametrize("path", ["/predict", "/feedback", "/metrics", "/nothing"])
def test_without_a_valid_key_nothing_is_answered(client: Any, path: str, key: str | None) -> None:
    headers = {} if key is None else {"authorization": b"Bearer " + key.encode("latin-1")}
    answer = client.post(path, headers=headers, json=EXAMPLE)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_a_key_of_another_scheme_is_none(client: Any, scheme: str) -> None:
    answer = client.post("/predict", headers={"authorization": f"{scheme} {PREDICT}".strip()}, json=EXAMPLE)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
def test_probes_need_no_key(client: Any, path: str) -> None:
    assert client.get(path).status_code == 200


def test_with_any_key_set_a_role_without_keys_is_closed_to_all_but_admins(tmp_path: Path) -> None:
    keys = read_keys({"PENUMBRA_KEYS__PREDICT": PREDICT})
    with pytest.raises(RequestRefused) as caught:
        AccessControl(keys, is_open=True).check(
            {"path": "/metrics", "headers": [(b"authorization", b"Bearer " + b"x" * 20)]}
        )
    assert caught.value.status == 401


@given(st.binary(max_size=40))
def test_no_header_that_is_no_key_ever_passes(header: bytes) -> None:
    with pytest.raises(RequestRefused):
        AccessControl(KEYS, is_open=False).check({"path": "/predict", "headers": [(b"authorization", header)]})


def test_keys_are_no_settings_and_in_no_record_of_them() -> None:
    assert "key" not in load_settings(environ=ENVIRONMENT).model_dump_json()
    assert load_settings(environ=ENVIRONMENT) == load_settings(environ={})


def test_keys_are_kept_as_digests_only() -> None:
    assert not [key for key in KEYS if b"key-of" in key.digest]


def test_a_key_with_a_name_says_whose_it_is_and_what_for() -> None:
    named = {"PENUMBRA_KEYS__REVIEW": "alice:key-of-alice-1234, bob:key-of-bob:567890", "PENUMBRA_KEYS__ADMIN": ADMIN}
    keys = read_keys({**named, "PENUMBRA_KEYS__APPROVE": "alice:key-of-alice-1234"})
    assert find_key_holder(keys, b"key-of-alice-1234") == ("alice", {"review", "approve"})
    assert find_key_holder(keys, b"key-of-bob:567890") == ("bob", {"review"})
    assert find_key_holder(keys, ADMIN.encode()) == ("admin", {"admin"})
    assert find_key_holder(keys, b"") == find_key_holder(keys, b"key-of-alice") == ("", set())


def test_workers_inherit_keys_with_their_names() -> None:
    keys = read_keys({**ENVIRONMENT, "PENUMBRA_KEYS__REVIEW": "alice:key-of-alice-1234"})
    with store_key_digests(keys) as file:
        assert load_key_digests(file.fileno()) == keys


@pytest.mark.parametrize("name", ["", "admin", "Admin", "4lice", "a b", "a<b>", "@alice", "x" * 41, "alïce", "a/b"])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="PENUMBRA_KEYS__REVIEW: expected NAME:KEY"):
        read_keys({"PENUMBRA_KEYS__REVIEW": f"{name}:key-of-somebody-123"})


def test_a_key_of_two_people_is_refused() -> None:
    with pytest.raises(SettingsError, match="alice and bob have the same API key"):
        read_keys({"PENUMBRA_KEYS__REVIEW": f"alice:{'k' * 20},bob:{'k' * 20}"})


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PENUMBRA_KEYS__PREDICT": "secret"}, "PENUMBRA_KEYS__PREDICT: a key has 6 characters, expected at least 16"),
        ({"PENUMBRA_KEYS__REVIEW": "x" * 20}, "PENUMBRA_KEYS__REVIEW: expected NAME:KEY"),
        ({"PENUMBRA_KEYS__APPROVE": "carol:secret"}, "PENUMBRA_KEYS__APPROVE: a key has 6 characters"),
        ({"PENUMBRA_KEYS__ROOT": "x" * 20}, "PENUMBRA_KEYS__ROOT: expected PENUMBRA_KEYS__ and one of PREDICT"),
    ],
)
def test_a_key_that_will_not_do_is_refused_without_being_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_keys(environ)
    assert words in str(caught.value)
    assert not [key for key in environ.values() if key in str(caught.value)]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_without_keys_the_service_does_not_start_where_others_can_reach_it(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match=r"no keys are set: set PENUMBRA_KEYS__PREDICT, or service.open"):
        require_safe_access(local_service.make_service_settings(tmp_path, host=host).service, [])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_without_keys_it_starts_on_loopback(tmp_path: Path, host: str) -> None:
    require_safe_access(local_service.make_service_settings(tmp_path, host=host).service, [])


def test_with_keys_or_where_settings_say_so_it_starts_anywhere(tmp_path: Path) -> None:
    require_safe_access(local_service.make_service_settings(tmp_path, host="0.0.0.0").service, KEYS)
    require_safe_access(local_service.make_service_settings(tmp_path, host="0.0.0.0", open=True).service, [])


@pytest.mark.slow
def test_starting_it_unsafely_ends_with_one_sentence(tmp_path: Path) -> None:
    environ = {"PATH": "", **local_service.make_service_environment(tmp_path, host="0.0.0.0")}
    done = subprocess.run(
        [sys.executable, "-m", "service"], cwd=PROJECT_ROOT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "no keys are set" in done.stderr


@pytest.mark.parametrize(
    ("address", "allowed"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.5", False), ("x", False)]
)
def test_however_it_was_started_without_keys_only_this_machine_is_answered(address: str, allowed: bool) -> None:
    scope = {"path": "/predict", "headers": [], "client": (address, 1)}
    if allowed:
        AccessControl([], is_open=False).check(scope)
    else:
        with pytest.raises(RequestRefused, match="no keys are set") as caught:
            AccessControl([], is_open=False).check(scope)
        assert caught.value.status == 403


def test_where_settings_say_so_every_machine_is_answered() -> None:
    AccessControl([], is_open=True).check({"path": "/predict", "headers": [], "client": ("10.0.0.5", 1)})


class Requests:
    """Requests to an application that is behind the guard and waits for their bodies."""

    def __init__(self, max_requests: int, timeout_seconds: float) -> None:
        self.app = guard_app(self._wait, AccessControl([], is_open=True), RequestLimits(max_requests, timeout_seconds))
        self.go = asyncio.Event()

    async def _wait(self, scope: Any, receive: Any, send: Any) -> None:
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send_request(self, path: str = "/predict") -> tuple[int, dict[bytes, bytes]]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app({"type": "http", "path": path, "headers": []}, send, send)
        return sent[0]["status"], dict(sent[0]["headers"])


def test_more_requests_than_fit_are_told_to_come_back() -> None:
    async def scenario() -> tuple[Any, list[Any]]:
        requests = Requests(max_requests=2, timeout_seconds=60)
        fitting = [asyncio.create_task(requests.send_request()) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await requests.send_request()
        requests.go.set()
        return refused, [status for status, _ in await asyncio.gather(*fitting, requests.send_request())]

    (status, headers), others = asyncio.run(scenario())
    assert (status, headers[b"retry-after"], headers[b"connection"]) == (429, b"1", b"close")
    assert others == [200, 200, 200]


def test_probes_are_answered_however_many_requests_are_under_way() -> None:
    async def scenario() -> int:
        requests = Requests(max_requests=1, timeout_seconds=60)
        waiting = asyncio.create_task(requests.send_request())
        await asyncio.sleep(0)
        probe = asyncio.create_task(requests.send_request("/readyz"))
        requests.go.set()
        await waiting
        return (await probe)[0]

    assert asyncio.run(scenario()) == 200


def test_a_request_that_takes_too_long_is_ended_and_makes_room() -> None:
    async def scenario() -> tuple[Any, Any]:
        requests = Requests(max_requests=1, timeout_seconds=0.05)
        late = await requests.send_request()
        requests.go.set()
        return late, await requests.send_request()

    (status, headers), after = asyncio.run(scenario())
    assert (status, headers[b"retry-after"]) == (503, b"5")
    assert after[0] == 200


def test_a_task_that_is_cancelled_for_another_reason_stays_cancelled() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(Requests(max_requests=1, timeout_seconds=60).send_request())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())
