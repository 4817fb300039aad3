"""Access to the dashboard: what reads is open, what writes takes an admin key, and pages of others get nothing."""

import base64
import contextlib
import json
import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from monitoring.dashboard.places import find_free_ports, get_socket, write_page_digests
from monitoring.dashboard.processes import require_closed_pages
from monitoring.dashboard.server import make_dashboard_config
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import PROJECT_ROOT, SettingsError, load_settings
from penumbra.core.system.http_client import find_free_port
from service.http.access.access_control import read_keys
from tests.helpers.cluster.kustomize import list_containers, render_kustomization
from tests.helpers.models import recorded_windows
from tests.helpers.pages import local_sites

ADMIN = "admin-key-of-anna"
KEYS = read_keys({"PENUMBRA_KEYS__ADMIN": ADMIN, "PENUMBRA_KEYS__PREDICT": "predict-key-of-web"})
SEARCH, DELETE = "/ajax-api/2.0/mlflow/runs/search", "/ajax-api/2.0/mlflow/runs/delete"
PROJECT = "/api/v2/snapshots/019aa3b2-0000-7000-8000-000000000000"


async def echo(scope, receive, send):
    """Answer with what arrived."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    said = {
        "what": f"{scope['method']} {scope['raw_path'].decode()}?{scope['query_string'].decode()}",
        "headers": {name.decode(): value.decode() for name, value in scope["headers"]},
        "body": body.decode(),
    }
    headers = [(b"access-control-allow-origin", b"*"), (b"content-security-policy", b"default-src *")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


@contextlib.contextmanager
def serve(folder, keys=KEYS, **dashboard):
    """The dashboard's server, and a client for each site; nothing is behind the proxy."""
    settings = recorded_windows.make_history_settings(folder)
    settings = settings.model_copy(update={"dashboard": settings.dashboard.model_copy(update=dashboard)})
    sockets, ports = Path(tempfile.mkdtemp()), find_free_ports("127.0.0.1", find_free_port())
    write_page_digests(sockets, keys)
    config = make_dashboard_config(settings, load_problem(), ports, sockets)
    listening = [socket.create_server(("127.0.0.1", port)) for port in ports.values()]
    clients = {name: httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) for name, port in ports.items()}
    with local_sites.serve_config(config, listening):
        yield SimpleNamespace(sockets=sockets, **clients)
    for each in (*listening, *clients.values()):
        each.close()


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    with (
        serve(tmp_path_factory.mktemp("sites")) as found,
        local_sites.serve_app(echo, uds=get_socket(found.sockets, "mlflow")),
        local_sites.serve_app(echo, uds=get_socket(found.sockets, "evidently")),
    ):
        yield found


@pytest.mark.slow
def test_reading_needs_no_key(sites):
    answer = sites.mlflow.get("/ajax-api/2.0/mlflow/runs/get", params={"run_id": "a b"})
    assert answer.json()["what"] == "GET /ajax-api/2.0/mlflow/runs/get?run_id=a+b"
    assert sites.mlflow.post(SEARCH, json={"filter": ""}).json()["body"] == '{"filter":""}'
    assert sites.evidently.post(f"{PROJECT}/data_series_batch", json={}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "SEARCH"])
@pytest.mark.parametrize("site", ["mlflow", "evidently"])
def test_all_else_takes_an_admin_key(sites, site, method):
    refused = getattr(sites, site).request(method, PROJECT)
    assert refused.status_code == 401
    assert "which is read-only here, takes an admin key" in refused.json()["error"]
    assert {"bearer", "basic"} <= {each.split()[0].lower() for each in refused.headers.get_list("www-authenticate")}


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {ADMIN}", f"bearer {ADMIN}", "Basic " + base64.b64encode(f"any:{ADMIN}".encode()).decode()],
)
def test_an_admin_key_opens_what_writes_and_goes_no_further(sites, authorization):
    answer = sites.mlflow.post(DELETE, json={"run_id": "1"}, headers={"authorization": authorization})
    assert (answer.status_code, answer.json()["body"]) == (200, '{"run_id":"1"}')
    assert "authorization" not in answer.json()["headers"]
    assert answer.json()["headers"]["host"] == "localhost"


@pytest.mark.parametrize("key", ["Bearer predict-key-of-web", "Bearer x", "Basic !!", "Basic YTpi", f"Digest {ADMIN}"])
def test_another_key_opens_nothing(sites, key):
    assert sites.mlflow.post(DELETE, json={}, headers={"authorization": key}).status_code == 401


@pytest.mark.parametrize("site", ["overview", "mlflow", "evidently"])
def test_another_host_gets_nothing(sites, site):
    answer = getattr(sites, site).get("/", headers={"host": "a.example"})
    assert (answer.status_code, "dashboard.hosts" in answer.json()["error"]) == (421, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://a.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_page_of_another_origin_can_t_post_even_with_the_key_that_a_browser_adds(sites, headers):
    answer = sites.mlflow.post(DELETE, json={}, headers={**headers, "authorization": f"Bearer {ADMIN}"})
    assert answer.status_code == 403
    assert sites.mlflow.post(SEARCH, json={}, headers=headers).status_code == 403


def test_a_page_of_the_site_itself_can(sites):
    headers = {"origin": str(sites.mlflow.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    assert sites.mlflow.post(SEARCH, json={}, headers=headers).status_code == 200


def test_what_has_no_right_is_refused_before_its_body_is_sent(sites):
    head = f"POST {DELETE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
    assert send_bytes(sites.mlflow, head).startswith(b"HTTP/1.1 401 ")


def test_a_large_head_is_refused(sites):
    head = "GET / HTTP/1.1\r\nHost: localhost\r\n" + "x: y\r\n" * 200
    assert send_bytes(sites.overview, head).startswith(b"HTTP/1.1 431 ")


def send_bytes(site, text):
    with socket.create_connection(("127.0.0.1", site.base_url.port), 10) as connection:
        connection.sendall(text.encode())
        return connection.recv(65536)


def test_a_search_is_bounded(sites):
    assert sites.mlflow.post(SEARCH, content=b" " * 2_000_000).status_code == 413
    assert sites.mlflow.post(SEARCH, content=iter([b"{}"])).status_code == 413


@pytest.mark.parametrize(
    ("site", "path", "policy"),
    [
        ("overview", "/", "default-src 'none'; style-src"),
        ("overview", "/cards/train.html", "sandbox allow-scripts; default-src 'none'"),
        ("mlflow", "/", "default-src 'none'; script-src 'self'"),
        ("mlflow", "/get-artifact?path=reports/data.html", "sandbox allow-scripts;"),
        ("mlflow", "/api/2.0/mlflow-artifacts/artifacts/1/a.html", "sandbox allow-scripts;"),
        ("mlflow", "/api/2.0/mlflow-artifacts/artifacts/1/a%0A.html", "sandbox allow-scripts;"),
        ("evidently", "/projects/1", "default-src 'none'; script-src 'self'"),
    ],
)
def test_every_answer_says_what_a_browser_may_do_with_it(sites, site, path, policy):
    headers = getattr(sites, site).get(path).headers
    assert headers["content-security-policy"].startswith(policy)
    assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert "access-control-allow-origin" not in headers


@pytest.mark.slow
def test_a_key_of_a_reviewer_opens_the_review_page_and_nothing_else(tmp_path):
    keys = read_keys(
        {"PENUMBRA_KEYS__REVIEW": "alice:key-of-alice-1234", "PENUMBRA_KEYS__APPROVE": f"carol:{'k' * 20}"}
    )
    alice, carol = ({"authorization": f"Bearer {key}"} for key in ("key-of-alice-1234", "k" * 20))
    with serve(tmp_path, keys=keys) as found:
        assert found.overview.get("/review").status_code == 401
        assert found.overview.get("/review/nothing", headers=carol).status_code == 401
        assert found.overview.get("/review/nothing", headers=alice).status_code == 404
        assert found.overview.get("/").status_code == 200
        assert found.mlflow.post(DELETE, json={}, headers=alice).status_code == 403


def test_a_request_without_a_path_is_refused(sites):
    assert send_bytes(sites.overview, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 401 ")


@pytest.mark.slow
def test_without_an_admin_key_nothing_writes(tmp_path):
    with serve(tmp_path, keys=[]) as found:
        refused = found.mlflow.post(DELETE, json={}, headers={"authorization": "Basic YTo="})
        assert (refused.status_code, "set PENUMBRA_KEYS__ADMIN" in refused.json()["error"]) == (403, True)


@pytest.mark.slow
def test_while_nothing_listens_behind_it_the_proxy_says_so(tmp_path):
    with serve(tmp_path) as found:
        waiting = found.mlflow.get("/")
        assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "1")
        assert waiting.json()["error"].startswith("MLflow is starting, or has ended")


@pytest.mark.slow
def test_pages_that_other_machines_reach_take_the_key_for_reading_too(tmp_path):
    with serve(tmp_path, host="0.0.0.0", hosts=["pages.example"]) as found:
        assert found.overview.get("/").status_code == 401
        headers = {"authorization": f"Bearer {ADMIN}", "host": "pages.example"}
        assert found.overview.get("/", headers=headers).status_code == 200


def list_dashboard_probes():
    manifests = render_kustomization(PROJECT_ROOT / "deploy/kubernetes/overlays/production")
    (container,) = (each for one in manifests for each in list_containers(one) if each["name"] == "dashboard")
    return {name: probe["httpGet"] for name, probe in container.items() if name.endswith("Probe")}


@pytest.mark.slow
def test_each_probe_of_the_dashboards_pod_is_answered_as_a_kubelet_sends_it(tmp_path):
    headers = {"host": "10.1.2.3:3001"}
    assert len(list_dashboard_probes()) == 3
    with serve(tmp_path, host="0.0.0.0") as found:
        for probe in list_dashboard_probes().values():
            site = getattr(found, probe["port"])
            assert site.get(probe["path"], headers=headers).text == "ok"
            assert site.post(probe["path"], headers=headers).status_code == 421


@pytest.mark.slow
def test_a_site_without_a_probe_of_its_own_keeps_that_path_closed(tmp_path):
    with serve(tmp_path, host="0.0.0.0") as found:
        assert found.evidently.get("/healthz").status_code == 401
        assert found.evidently.get("/healthz", headers={"host": "10.1.2.3:3003"}).status_code == 421


@pytest.mark.slow
@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_the_pages_answer_by_each_name_of_the_dashboards_service_in_an_overlay(tmp_path, overlay):
    manifests = render_kustomization(PROJECT_ROOT / "deploy/kubernetes/overlays" / overlay)
    environ = next(each["data"] for each in manifests if each["kind"] == "ConfigMap")
    names = ["dashboard", f"dashboard.penumbra-{overlay}", f"dashboard.penumbra-{overlay}.svc.cluster.local"]
    headers = {"authorization": f"Bearer {ADMIN}"}
    with serve(tmp_path, host="0.0.0.0", hosts=load_settings(environ=environ).dashboard.hosts) as found:
        for name in names:
            assert found.overview.get("/healthz", headers={**headers, "host": f"{name}:3001"}).status_code == 200
            assert found.evidently.get("/", headers={**headers, "host": f"{name}:3003"}).status_code == 503


@pytest.mark.slow
def test_pages_that_other_machines_reach_are_refused_without_a_key(tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    reached = settings.model_copy(update={"dashboard": settings.dashboard.model_copy(update={"host": "0.0.0.0"})})
    require_closed_pages(settings, [])
    require_closed_pages(reached, KEYS)
    with pytest.raises(SettingsError, match="no admin key is set"):
        require_closed_pages(reached, read_keys({"PENUMBRA_KEYS__PREDICT": "predict-key-of-web"}))
