"""The commands of the manifests, run as a cluster would: each container by itself, read-only but for its volumes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest

from penumbra.core.settings import PROJECT_ROOT, RegistrySettings
from penumbra.core.system.http_client import find_free_port
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from problem.schema import EXAMPLE
from service.processes.deployment.version_deployment import deploy_live
from tests.helpers.checkout import FLIGHTS
from tests.helpers.cluster.kustomize import Manifest, list_containers, render_kustomization
from tests.helpers.cluster.pods import POD_VARIABLES, build_image, require_pods
from tests.helpers.servers import local_service
from tests.helpers.servers.local_service import wait_until
from tests.helpers.servers.postgres_server import PostgresServer

pytestmark = pytest.mark.slow

MANIFESTS = render_kustomization(PROJECT_ROOT / "deploy/kubernetes/overlays/staging")
CONTAINERS = {container["name"]: container for manifest in MANIFESTS for container in list_containers(manifest)}
SETTINGS = next(each for each in MANIFESTS if each["kind"] == "ConfigMap")["data"]
PREDICT, METRICS = "predict-key-of-the-test", "metrics-key-of-the-test"
MOUNTED = """set -e
mount --bind "$1" /srv && mount --bind "$2" /srv/.venv && mount --bind "$3" /srv/var
mount -o remount,bind,ro /srv && mount -t tmpfs pod /tmp
cd /srv && shift 3
! touch /srv/probe 2>/dev/null
exec "$@"
"""


@contextlib.contextmanager
def run_container(container: Manifest, log: Path, environ: Mapping[str, str], *mounts: Path) -> Iterator[int]:
    """The process id of a container's first process, which is process 1 of its own namespace."""
    unshare = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    own = {each["name"]: each["value"] for each in container.get("env", ())}
    command = [*unshare, "sh", "-c", MOUNTED, "sh", *map(str, mounts)] if mounts else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *container["command"]], env={**POD_VARIABLES, **environ, **own}, stdout=output, stderr=output
        )
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: bool(children.read_text().split()), seconds=10)
        yield int(children.read_text().split()[0])
        process.wait(60)
    finally:
        process.kill()
        process.wait()


def ask(port: int, path: str, key: str = "", **body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(trust_env=False, headers=headers) as http:
        return (
            http.post(f"http://127.0.0.1:{port}{path}", **body) if body else http.get(f"http://127.0.0.1:{port}{path}")
        )


def is_ready(port: int, path: str) -> bool:
    try:
        return ask(port, path).status_code == 200
    except httpx.TransportError:
        return False


def test_the_services_pod_answers_and_ships_all_that_it_logged_before_it_ends(
    tmp_path: Path, moto: Any, bucket: str
) -> None:
    require_pods()
    image, var, port = build_image(tmp_path / "image", FLIGHTS, "a revision"), tmp_path / "volume", find_free_port()
    (image / "var").mkdir()
    local_service.make_bundle(tmp_path / "registry/1")
    registry = local_service.FolderRegistry(tmp_path / "registry", "1")
    deploy_live(registry, var / "service", local_service.PROBLEM)
    shared = {"PENUMBRA_CLUSTER__STATE": f"{bucket}/state", "PENUMBRA_REGISTRY__TRACKING": ""}
    shared["PENUMBRA_SHADOW__NICENESS"] = "0"  # beside other tests it would get no processor
    settings = {**SETTINGS, **shared, "PENUMBRA_LOG__ARCHIVE": "", "PENUMBRA_SERVICE__PORT": str(port)}
    keys = {"PENUMBRA_KEYS__PREDICT": PREDICT, "PENUMBRA_KEYS__METRICS": METRICS}
    mounts = image, (PROJECT_ROOT / ".venv").resolve(), var
    with (
        run_container(CONTAINERS["shadow"], tmp_path / "shadow.log", settings, *mounts) as shadow,
        run_container(CONTAINERS["service"], tmp_path / "log", {**settings, **moto.environ, **keys}, *mounts) as pod,
    ):
        wait_until(lambda: is_ready(port, CONTAINERS["service"]["readinessProbe"]["httpGet"]["path"]), seconds=90)
        answers = [ask(port, "/predict", PREDICT, json=json.loads(json.dumps(EXAMPLE, default=str))) for _ in range(5)]
        assert [each.json()["model_version"] for each in answers] == ["1"] * 5
        assert ask(port, "/metrics", PREDICT).status_code == 403
        wait_until(lambda: "penumbra_shadow_heartbeat" in ask(port, "/metrics", METRICS).text, seconds=30)
        for process in (pod, shadow):
            os.kill(process, signal.SIGTERM)
        began = time.monotonic()
    assert time.monotonic() - began < 60
    store = fsspec.filesystem("s3")
    lines = [line for path in store.find(f"{bucket}/state/logs/predictions") for line in store.cat(path).splitlines()]
    assert len(lines) == 5, (tmp_path / "log").read_text()


def test_mlflows_pod_migrates_its_tables_and_is_asked_by_the_services_name(
    tmp_path: Path, migrated_postgres: PostgresServer
) -> None:
    address, port = migrated_postgres.create_database("pod", "migrated"), find_free_port()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environ = {"PATH": path, "MLFLOW_BACKEND_STORE_URI": address}
    migrations, server = CONTAINERS["migrations"], CONTAINERS["mlflow"]
    own = {each["name"]: each["value"] for each in server["env"]} | environ | {"HOME": str(tmp_path)}
    subprocess.run(migrations["command"], env=own, check=True, capture_output=True)
    command = [str(port) if word == "5000" else word for word in server["command"]]
    process = subprocess.Popen(command, cwd=tmp_path, env=own, stdout=-3, stderr=-3, start_new_session=True)
    try:
        wait_until(lambda: is_ready(port, server["readinessProbe"]["httpGet"]["path"]), seconds=90)
        for name, status in (("mlflow:5000", 200), ("mlflow.penumbra-staging:5000", 200), ("elsewhere.example", 403)):
            with httpx.Client(trust_env=False, headers={"host": name}) as http:
                found = http.get(f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=1")
                assert found.status_code == status, name
        address = f"http://localhost:{port}"
        models = ModelRegistry(RegistrySettings(tracking=address, artifacts=str(tmp_path), model="m", signed_by=[]))
        run = models.record(FinishedRun("a run", 0, 1))
        assert models.find_run_id(run) == run
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
