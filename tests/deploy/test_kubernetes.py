"""The manifests hold what they repeat of code and settings, and keep to the schemas of Kubernetes."""

import json
import re
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from mlflow.server.security_utils import is_allowed_host_header, is_health_endpoint
from prometheus_client import REGISTRY

from deploy.grafana import build_grafana_dashboard
from monitoring.dashboard.places import find_free_ports
from penumbra.cli.app import main
from penumbra.cluster.manifests import KEPT_SECONDS, POD_SECURITY
from penumbra.cluster.metaflow_config import EVENT_PORT, build_metaflow_environment
from penumbra.core.settings import PROJECT_ROOT, Settings, load_settings
from penumbra.logs.replicas.heartbeats import LOST_AFTER_SHIPPINGS
from service.http import metrics, side_metrics
from service.http.access.access_control import KEY_ROLES, PUBLIC_PATHS, find_needed_role
from service.processes.archiver import ARCHIVE_METRIC_HELP
from service.processes.indexer import INDEX_METRIC_HELP
from service.processes.review_pass import REVIEW_METRIC_HELP
from service.processes.shipper import SHIP_METRIC_HELP
from service.processes.workers.launcher import PROCESS_MODULES
from service.shadow.metrics_file import METRIC_HELP
from tests.helpers.cluster.kustomize import Manifest, list_containers, read_env_file, render_kustomization

OLDEST, NEWEST = (
    "1.34",
    "1.37",
)  # versions of Kubernetes: the first that the manifests are for, and the last with schemas
FOLDER = PROJECT_ROOT / "deploy/kubernetes"
OVERLAYS = ("staging", "production")
RENDERED = {name: render_kustomization(FOLDER / "overlays" / name) for name in OVERLAYS}
MONITORING = render_kustomization(FOLDER / "monitoring")
SECRETS = {"penumbra-keys", "penumbra-store", "penumbra-database", "penumbra-scrape"}
CUSTOM_KINDS = {"ServiceMonitor", "PrometheusRule", "WorkflowTemplate"}
SIDE_METRICS = {
    "shadow": METRIC_HELP,
    "index": INDEX_METRIC_HELP,
    "archive": ARCHIVE_METRIC_HELP,
    "review": REVIEW_METRIC_HELP,
    "ship": SHIP_METRIC_HELP,
}


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (each for each in manifests if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def find_workloads(manifests: list[Manifest]) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in ("StatefulSet", "Deployment")]


def read_overlay_settings(overlay: str) -> Settings:
    environ = find(RENDERED[overlay], "ConfigMap", "penumbra-settings")["data"]
    return load_settings(environ=environ)


BASE = RENDERED["staging"]
PODS = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in find_workloads(BASE)}
CONTAINERS = {container["name"]: container for each in find_workloads(BASE) for container in list_containers(each)}


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
    service = find(RENDERED[overlay], "Service", "mlflow")
    assert settings.registry.tracking == f"http://mlflow:{service['spec']['ports'][0]['port']}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_flows_are_compiled_for_the_namespace_the_accounts_and_the_secrets_of_an_overlay(overlay: str) -> None:
    cluster, manifests = read_overlay_settings(overlay).cluster, RENDERED[overlay]
    assert cluster.namespace == find(manifests, "StatefulSet", "penumbra")["metadata"]["namespace"]
    assert set(cluster.secrets) <= SECRETS
    sensor = build_metaflow_environment(cluster)["METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT"]
    for account in (cluster.service_account, sensor):
        find(manifests, "ServiceAccount", account)
        assert find(manifests, "RoleBinding", account)["subjects"][0]["name"] == account


def test_flows_reach_the_event_source_at_its_port() -> None:
    ports = [each["ports"][0]["port"] for each in find(BASE, "NetworkPolicy", "flows")["spec"]["egress"]]
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
    workload = find(BASE, "StatefulSet", "penumbra" if name == "service" else name)
    (claim,) = workload["spec"]["volumeClaimTemplates"]
    assert {"name": claim["metadata"]["name"], "mountPath": "/srv/var"} in CONTAINERS[name]["volumeMounts"]
    settings = read_overlay_settings("staging")
    written = (settings.service.state, settings.service.predictions, settings.labels.folder, settings.review.folder)
    assert all(str(path).startswith("var/") for path in (*written, settings.ledger.folder, settings.monitor.folder))


def test_the_services_port_is_that_of_the_settings() -> None:
    port = read_overlay_settings("staging").service.port
    assert CONTAINERS["service"]["ports"] == [{"name": "http", "containerPort": port}]
    allowed = find(BASE, "NetworkPolicy", "service")["spec"]["ingress"][0]["ports"]
    assert allowed == [{"protocol": "TCP", "port": port}]


def test_the_dashboards_ports_are_those_of_the_settings() -> None:
    first = read_overlay_settings("staging").dashboard.first_port
    ports = {port["name"]: port["containerPort"] for port in CONTAINERS["dashboard"]["ports"]}
    names = list(find_free_ports("127.0.0.1", first))
    assert ports == {name: first + names.index(name) for name in ("overview", "evidently")}
    allowed = find(BASE, "NetworkPolicy", "dashboard")["spec"]["ingress"][0]["ports"]
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
    (endpoint,) = find(MONITORING, "ServiceMonitor", "penumbra")["spec"]["endpoints"]
    assert find_needed_role(endpoint["path"]) == "metrics"
    service = find(BASE, "Service", "penumbra")
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    selector = find(MONITORING, "ServiceMonitor", "penumbra")["spec"]["selector"]["matchLabels"]
    assert selector == service["metadata"]["labels"]


def test_prometheus_looks_into_the_namespaces_of_both_overlays() -> None:
    namespaces = find(MONITORING, "ServiceMonitor", "penumbra")["spec"]["namespaceSelector"]["matchNames"]
    assert namespaces == [find(RENDERED[name], "StatefulSet", "penumbra")["metadata"]["namespace"] for name in OVERLAYS]


def test_each_selector_finds_exactly_one_kind_of_pod() -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in find_workloads(BASE)]
    for manifest in (each for each in BASE if each["kind"] in ("Service", "PodDisruptionBudget")):
        selector = manifest["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert len([each for each in labels if wanted.items() <= each.items()]) == 1, manifest["metadata"]["name"]


def list_metric_names() -> set[str]:
    """The names that `/metrics` shows, of the service's own and of the processes beside it."""
    own = {sample for family in REGISTRY.collect() for sample in name_samples(family.name, family.type)}
    beside = {f"penumbra_{process}_{name}" for process, texts in SIDE_METRICS.items() for name in texts}
    passes = set(re.findall(r"^# TYPE (\S+)", side_metrics.ARCHIVE_METRICS, re.M))
    assert metrics.LATENCY_BUCKETS  # the service's own are registered
    return {name for name in own | beside | passes if name.startswith("penumbra_")}


def name_samples(name: str, kind: str) -> list[str]:
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return [name + ending for ending in endings.get(kind, [""])]


def list_queries() -> dict[str, str]:
    rules = [
        rule for group in find(MONITORING, "PrometheusRule", "penumbra")["spec"]["groups"] for rule in group["rules"]
    ]
    alarms = {rule["alert"]: rule["expr"] for rule in rules}
    panels = build_grafana_dashboard()["panels"]
    return alarms | {f"{panel['title']} {each['refId']}": each["expr"] for panel in panels for each in panel["targets"]}


@pytest.mark.parametrize(("place", "query"), list_queries().items())
def test_alarms_and_panels_ask_for_metrics_that_there_are(place: str, query: str) -> None:
    names = set(re.findall(r"\bpenumbra_\w+", query))
    assert names <= list_metric_names(), place
    assert names or "up{" in query


def test_the_dashboard_of_grafana_is_what_the_code_makes() -> None:
    assert json.loads((FOLDER / "monitoring/grafana.json").read_text()) == build_grafana_dashboard()


def test_thresholds_of_alarms_are_those_of_the_settings() -> None:
    settings, queries = load_settings(), list_queries()
    expected = {
        "PenumbraIndexBehind": settings.labels.max_lag_seconds,
        "PenumbraArchiveBehind": settings.log.max_lag_hours * 3600,
        "PenumbraShadowBehind": settings.shadow.max_lag_seconds,
        "PenumbraNotShipped": LOST_AFTER_SHIPPINGS * settings.cluster.ship_minutes * 60,
    }
    assert {name: float(queries[name].rpartition("> ")[2]) for name in expected} == expected
    assert float(queries["PenumbraSlow"].rpartition("> ")[2]) in metrics.LATENCY_BUCKETS


def test_every_alarm_says_where_and_whom_it_concerns() -> None:
    (rule,) = (each for each in MONITORING if each["kind"] == "PrometheusRule")
    for alarm in (alarm for group in rule["spec"]["groups"] for alarm in group["rules"]):
        assert alarm.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert alarm["labels"]["severity"] in ("page", "ticket")
        assert re.search(r"\$labels\.(namespace|pod|version)", alarm["annotations"]["summary"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_file_of_settings_can_be_read_by_a_shell_too(overlay: str) -> None:
    path = Path(FOLDER / "overlays" / overlay / "settings.env")
    printed = subprocess.run(["sh", "-ac", f". {path}; env"], check=True, capture_output=True, text=True, env={}).stdout
    assert read_env_file(path).items() <= dict(line.split("=", 1) for line in printed.splitlines()).items()


def is_selected(labels: dict[str, str], selector: Manifest) -> bool:
    checks = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, values: key in labels,
        "DoesNotExist": lambda key, values: key not in labels,
    }
    wanted = selector.get("matchLabels", {}).items()
    expressions = selector.get("matchExpressions", ())
    return wanted <= labels.items() and all(
        checks[each["operator"]](each["key"], each.get("values")) for each in expressions
    )


@pytest.mark.parametrize("kind", ["service", "mlflow", "dashboard", "flows", "events"])
def test_exactly_one_network_policy_is_about_a_kind_of_pod_beside_those_about_all(kind: str) -> None:
    labels = {
        "flows": {"app.kubernetes.io/name": "metaflow-task", "workflows.argoproj.io/workflow": "penumbra-train-x"},
        "events": {"app.kubernetes.io/name": "penumbra-eventsource", "app.kubernetes.io/part-of": "argo-events"},
    }.get(kind, {"app.kubernetes.io/name": "penumbra", "app.kubernetes.io/component": kind})
    policies = [each for each in RENDERED["production"] if each["kind"] == "NetworkPolicy"]
    own = [each["metadata"]["name"] for each in policies if each["spec"]["podSelector"]]
    assert [
        name for name in own if is_selected(labels, find(policies, "NetworkPolicy", name)["spec"]["podSelector"])
    ] == [kind]


RELEASE = find(RENDERED["production"], "WorkflowTemplate", "penumbra-release")["spec"]
RELEASE_CONTAINER = RELEASE["templates"][0]["container"]


def test_a_release_asks_where_staging_is() -> None:
    given = {each["name"]: each.get("value") for each in RELEASE["arguments"]["parameters"]}
    settings, place = read_overlay_settings("staging"), find(RENDERED["staging"], "Service", "mlflow")["metadata"]
    port = urlsplit(settings.registry.tracking).port
    assert given == {
        "image": None,
        "version": "live",
        "tracking": f"http://{place['name']}.{place['namespace']}:{port}",
        "state": settings.cluster.state,
    }
    allowed = find(RENDERED["staging"], "NetworkPolicy", "production-reads")["spec"]["ingress"][0]
    namespace = find(RENDERED["production"], "Namespace", "penumbra-production")["metadata"]["name"]
    assert allowed["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": namespace}
    assert allowed["ports"] == [{"protocol": "TCP", "port": port}]


def test_pods_of_a_release_reach_stagings_mlflow_through_the_policies_of_both_namespaces() -> None:
    release = {**RELEASE["podMetadata"]["labels"], "workflows.argoproj.io/workflow": "penumbra-release-x"}
    mlflow = find(RENDERED["staging"], "Deployment", "mlflow")["spec"]["template"]["metadata"]["labels"]
    assert can_reach("production", release, "staging", mlflow, 5000)
    assert not can_reach("staging", release, "production", mlflow, 5000)
    flow = {"workflows.argoproj.io/workflow": "penumbra-train-x"}
    assert not can_reach("production", flow, "staging", mlflow, 5000)
    assert can_reach("production", flow, "production", mlflow, 5000)


def can_reach(overlay: str, labels: dict[str, str], other: str, its_labels: dict[str, str], port: int) -> bool:
    """Whether policies let a pod of one overlay's namespace open a connection to one of the other's."""
    leaves = is_allowed(overlay, labels, "Egress", other, its_labels, port)
    return leaves and is_allowed(other, its_labels, "Ingress", overlay, labels, port)


def is_allowed(
    overlay: str, labels: dict[str, str], direction: str, other: str, its_labels: dict[str, str], port: int
) -> bool:
    policies = [each["spec"] for each in RENDERED[overlay] if each["kind"] == "NetworkPolicy"]
    own = [each for each in policies if is_selected(labels, each["podSelector"]) and direction in each["policyTypes"]]
    rules = [rule for each in own for rule in each.get(direction.lower(), ())]
    peers = [peer for rule in rules if {"protocol": "TCP", "port": port} in rule["ports"] for peer in list_peers(rule)]
    return any(is_peer(peer, overlay, other, its_labels) for peer in peers)


def list_peers(rule: Manifest) -> list[Manifest]:
    return rule.get("from", rule.get("to", []))


def is_peer(peer: Manifest, overlay: str, other: str, its_labels: dict[str, str]) -> bool:
    namespace = {"kubernetes.io/metadata.name": f"penumbra-{other}"}
    is_there = is_selected(namespace, peer["namespaceSelector"]) if "namespaceSelector" in peer else other == overlay
    return is_there and is_selected(its_labels, peer.get("podSelector", {}))


@pytest.mark.parametrize(
    "host", ["mlflow", "mlflow:5000", "mlflow.penumbra-staging", "mlflow.penumbra-staging.svc:5000"]
)
def test_mlflow_answers_by_each_name_of_its_service_with_and_without_a_port(host: str) -> None:
    environ = {each["name"]: each["value"] for each in CONTAINERS["mlflow"]["env"]}
    allowed = environ["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert is_allowed_host_header(allowed, host)
    assert not is_allowed_host_header(allowed, "pages.example")
    probes = [each["httpGet"]["path"] for name, each in CONTAINERS["mlflow"].items() if name.endswith("Probe")]
    assert all(map(is_health_endpoint, probes))  # which take any host


def test_a_release_is_a_command_that_there_is_with_all_its_parameters() -> None:
    assert RELEASE_CONTAINER["command"] == ["python", "-m", "penumbra.cli.app", "release"]
    words = [re.sub(r"\{\{workflow.parameters.(\w+)\}\}", r"\1", word) for word in RELEASE_CONTAINER["args"]]
    with main.commands["release"].make_context("release", words) as context:
        assert context.params == {"version": "version", "tracking": "tracking", "state": "state"}


def test_a_release_has_no_more_rights_than_a_flow() -> None:
    assert RELEASE["serviceAccountName"] == read_overlay_settings("production").cluster.service_account
    assert RELEASE_CONTAINER["securityContext"] == CONTAINERS["service"]["securityContext"]
    assert RELEASE["securityContext"] == POD_SECURITY
    assert RELEASE["ttlStrategy"] == {"secondsAfterCompletion": KEPT_SECONDS}
    assert yaml.safe_load(RELEASE["podSpecPatch"]) == {"enableServiceLinks": False}
