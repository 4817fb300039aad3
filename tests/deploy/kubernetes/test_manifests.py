"""The manifests hold what they repeat of code and settings, and keep to the schemas of Kubernetes."""

import json
import re
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from monitoring.dashboard.places import find_free_ports
from penumbra.cluster.manifests import POD_SECURITY
from penumbra.cluster.metaflow_config import EVENT_PORT, build_metaflow_environment
from penumbra.core.settings import PROJECT_ROOT, load_settings
from service.http.access.access_control import KEY_ROLES, PUBLIC_PATHS, find_needed_role
from service.processes.workers.launcher import PROCESS_MODULES
from tests.deploy.kubernetes.rendered_manifests import (
    BASE,
    CONTAINERS,
    FOLDER,
    MONITORING,
    OVERLAYS,
    PODS,
    RENDERED,
    find_manifest,
    read_overlay_settings,
)
from tests.helpers.cluster.kustomize import Manifest, read_env_file, render_kustomization

OLDEST, NEWEST = (
    "1.34",
    "1.37",
)  # versions of Kubernetes: the first that the manifests are for, and the last with schemas
SECRETS = {"penumbra-keys", "penumbra-store", "penumbra-database", "penumbra-scrape"}
CUSTOM_KINDS = {"ServiceMonitor", "PrometheusRule", "WorkflowTemplate"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overlay", "version"),
    [("staging", OLDEST), ("production", OLDEST), ("monitoring", OLDEST), ("production", NEWEST)],
)
def test_every_manifest_keeps_to_the_schema_of_kubernetes(overlay: str, version: str) -> None:
    for manifest in RENDERED.get(overlay, MONITORING):
        if manifest["kind"] not in CUSTOM_KINDS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("folder", [*(f"overlays/{name}" for name in OVERLAYS), "monitoring"])
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl isn't installed")
def test_kustomize_itself_renders_the_same(folder: str) -> None:
    command = ["kubectl", "kustomize", str(FOLDER / folder)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    without_hashes = re.sub(r"(name: penumbra-settings)-[0-9a-z]{10}$", r"\1", printed, flags=re.M)
    assert sort(yaml.safe_load_all(without_hashes)) == sort(render_kustomization(FOLDER / folder))


def sort(manifests: Any) -> list[Manifest]:
    return sorted(manifests, key=lambda each: (each["kind"], each["metadata"]["name"]))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_settings_of_an_overlay_exist_and_share_state(overlay: str) -> None:
    settings = read_overlay_settings(overlay)
    assert settings.cluster.state == f"s3://penumbra-{overlay}/state"
    assert settings.service.host == "0.0.0.0"
    service = find_manifest(RENDERED[overlay], "Service", "mlflow")
    assert settings.registry.tracking == f"http://mlflow:{service['spec']['ports'][0]['port']}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_flows_are_compiled_for_the_namespace_the_accounts_and_the_secrets_of_an_overlay(overlay: str) -> None:
    cluster, manifests = read_overlay_settings(overlay).cluster, RENDERED[overlay]
    assert cluster.namespace == find_manifest(manifests, "StatefulSet", "penumbra")["metadata"]["namespace"]
    assert set(cluster.secrets) <= SECRETS
    sensor = build_metaflow_environment(cluster)["METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT"]
    for account in (cluster.service_account, sensor):
        find_manifest(manifests, "ServiceAccount", account)
        assert find_manifest(manifests, "RoleBinding", account)["subjects"][0]["name"] == account


def test_flows_reach_the_event_source_at_its_port() -> None:
    ports = [each["ports"][0]["port"] for each in find_manifest(BASE, "NetworkPolicy", "flows")["spec"]["egress"]]
    assert ports == [5000, EVENT_PORT, 6443]


def test_pods_of_flows_run_as_the_images_user() -> None:
    service = PODS["penumbra"]["securityContext"]
    assert service == {**POD_SECURITY, "fsGroupChangePolicy": "OnRootMismatch"}


def test_variables_of_containers_are_settings_too() -> None:
    environ = {each["name"]: each["value"] for container in CONTAINERS.values() for each in container.get("env", ())}
    load_settings(environ={name: value for name, value in environ.items() if name.startswith("PENUMBRA_")})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_manifest_has_a_secret_and_those_that_are_named_are_in_the_list(overlay: str) -> None:
    assert not [each for each in RENDERED[overlay] if each["kind"] == "Secret"]
    text = json.dumps([*RENDERED[overlay], *MONITORING])
    named = set(re.findall(r'"secretRef": {"name": "([^"]+)"', text)) | {"penumbra-scrape"}
    listed = re.findall(r"^#   (\S+)", (FOLDER / "base/access.yaml").read_text(), re.M)
    assert named == set(listed) == SECRETS
    assert not re.search("PASSWORD|SECRET_ACCESS_KEY|KEYS__", text)


def test_the_list_of_secrets_names_every_role_of_a_key() -> None:
    line = re.search(r"penumbra-keys +(.*)", (FOLDER / "base/access.yaml").read_text())
    assert line
    assert {name.lower() for name in re.findall(r"__([A-Z]+)", line[1])} == set(KEY_ROLES)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_as_the_images_user_without_rights_and_is_told_of_no_services(name: str) -> None:
    pod = PODS[name]
    user = re.search(r"^USER (\d+):(\d+)$", (PROJECT_ROOT / "deploy/cluster.Dockerfile").read_text(), re.M)
    assert user
    security = pod["securityContext"]
    assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user.groups()
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_writes_to_volumes_only_and_has_its_limits(name: str) -> None:
    container = CONTAINERS[name]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted <= {"/srv/var", "/tmp"}
    assert "memory" in container["resources"]["limits"]
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


@pytest.mark.parametrize("name", ["service", "dashboard"])
def test_what_a_container_writes_below_var_is_on_its_replicas_own_volume(name: str) -> None:
    workload = find_manifest(BASE, "StatefulSet", "penumbra" if name == "service" else name)
    (claim,) = workload["spec"]["volumeClaimTemplates"]
    assert {"name": claim["metadata"]["name"], "mountPath": "/srv/var"} in CONTAINERS[name]["volumeMounts"]
    settings = read_overlay_settings("staging")
    written = (settings.service.state, settings.service.predictions, settings.labels.folder, settings.review.folder)
    assert all(str(path).startswith("var/") for path in (*written, settings.ledger.folder, settings.monitor.folder))


def test_the_services_port_is_that_of_the_settings() -> None:
    port = read_overlay_settings("staging").service.port
    assert CONTAINERS["service"]["ports"] == [{"name": "http", "containerPort": port}]
    allowed = find_manifest(BASE, "NetworkPolicy", "service")["spec"]["ingress"][0]["ports"]
    assert allowed == [{"protocol": "TCP", "port": port}]


def test_the_dashboards_ports_are_those_of_the_settings() -> None:
    first = read_overlay_settings("staging").dashboard.first_port
    ports = {port["name"]: port["containerPort"] for port in CONTAINERS["dashboard"]["ports"]}
    names = list(find_free_ports("127.0.0.1", first))
    assert ports == {name: first + names.index(name) for name in ("overview", "evidently")}
    allowed = find_manifest(BASE, "NetworkPolicy", "dashboard")["spec"]["ingress"][0]["ports"]
    assert [each["port"] for each in allowed] == [*ports.values()]


def test_probes_of_the_service_ask_paths_that_take_no_key() -> None:
    probes = {name: probe["httpGet"]["path"] for name, probe in CONTAINERS["service"].items() if name.endswith("Probe")}
    assert probes == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert {*probes.values()} <= PUBLIC_PATHS


def test_the_shadow_runs_beside_the_service_without_keys_and_passwords() -> None:
    assert CONTAINERS["shadow"]["command"][-1] == PROCESS_MODULES["shadow"]
    assert not [each for each in CONTAINERS["shadow"]["envFrom"] if "secretRef" in each]
    assert {"name": "PENUMBRA_SHADOW__ENABLED", "value": "false"} in CONTAINERS["service"]["env"]


def test_the_shadows_memory_is_enough_for_both_of_its_models() -> None:
    limit = int(CONTAINERS["shadow"]["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert limit >= 2 * load_settings().shadow.memory_mb + 2 * 200  # and the libraries that each of them needs


def test_keys_and_scraping_go_together() -> None:
    (endpoint,) = find_manifest(MONITORING, "ServiceMonitor", "penumbra")["spec"]["endpoints"]
    assert find_needed_role(endpoint["path"]) == "metrics"
    service = find_manifest(BASE, "Service", "penumbra")
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    selector = find_manifest(MONITORING, "ServiceMonitor", "penumbra")["spec"]["selector"]["matchLabels"]
    assert selector == service["metadata"]["labels"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_file_of_settings_can_be_read_by_a_shell_too(overlay: str) -> None:
    path = Path(FOLDER / "overlays" / overlay / "settings.env")
    printed = subprocess.run(["sh", "-ac", f". {path}; env"], check=True, capture_output=True, text=True, env={}).stdout
    assert read_env_file(path).items() <= dict(line.split("=", 1) for line in printed.splitlines()).items()
