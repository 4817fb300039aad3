"""Hosts that are ours: which requests a service without keys answers, whatever name a browser was given for it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from problem.schema import EXAMPLE
from service.http.access.access_control import read_keys
from service.http.access.hosts import MAX_KNOWN_HOSTS, HostCheck
from service.http.refusals import RequestRefused
from tests.helpers.servers import local_service

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic

OWN = ["127.0.0.1", "127.0.0.1:3000", "localhost:80", "LOCALHOST", "[::1]:3000", "127.1.2.3", "pages.example:81"]
FOREIGN = [
    "a.example",
    "a.example:3000",
    "localhost.a.example",
    "127.0.0.1.a.example",
    "",
    "10.0.0.1",
    "[::2]",
    "::1",
    "\xff",
]


def check(host: str, *more: str) -> None:
    headers = [(b"accept", b"*/*"), *((b"host", each.encode("latin-1")) for each in (host, *more))]
    HostCheck(["pages.example"], "use another").require_own_host(headers)


@pytest.mark.parametrize("host", OWN)
def test_addresses_of_this_machine_and_configured_names_are_ours(host: str) -> None:
    check(host)


@pytest.mark.parametrize("host", FOREIGN)
def test_another_host_is_refused_with_what_to_use(host: str) -> None:
    with pytest.raises(RequestRefused, match="is none of this server's: use another") as refused:
        check(host)
    assert refused.value.status == 421


def test_of_two_hosts_both_have_to_be_ours() -> None:
    with pytest.raises(RequestRefused):
        check("localhost", "a.example")


def test_what_is_remembered_of_hosts_is_bounded() -> None:
    hosts = HostCheck([], "")
    for port in range(1_000):
        hosts.require_own_host([(b"host", b"localhost:%d" % port)])
    assert len(hosts._known) == MAX_KNOWN_HOSTS


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("hosts")
    local_service.deploy_version(folder, "1")
    with local_service.open_test_client(folder) as http:
        yield http


@pytest.mark.parametrize("path", ["/", "/docs.json", "/metrics", "/explain/x", "/predict", "/feedback"])
def test_without_keys_a_page_of_another_name_gets_nothing(client: Any, path: str) -> None:
    answer = client.request(
        "POST" if path in ("/predict", "/feedback") else "GET", path, headers={"host": "a.example"}, json=EXAMPLE
    )
    assert (answer.status_code, answer.json()["details"]) == (421, [])


def test_probes_are_answered_under_any_name(client: Any) -> None:
    assert client.get("/livez", headers={"host": "10.1.2.3:3000"}).status_code == 200


def test_with_keys_any_name_will_do(tmp_path: Path) -> None:
    keys = read_keys({"PENUMBRA_KEYS__PREDICT": "predict-key-of-web"})
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path, keys=keys) as http:
        headers = {
            "host": "a.example",
            "authorization": "Bearer predict-key-of-web",
            "content-type": "application/json",
        }
        assert http.post("/predict", content=json.dumps(EXAMPLE), headers=headers).status_code == 200
