"""Network policies: who reaches whom, and a release from staging to production."""

import re
from urllib.parse import urlsplit

import pytest
import yaml

from penumbra.cli.app import main
from penumbra.cluster.manifests import KEPT_SECONDS, POD_SECURITY
from tests.deploy.kubernetes.rendered_manifests import (
    BASE,
    CONTAINERS,
    RENDERED,
    find_manifest,
    find_workloads,
    read_overlay_settings,
)
from tests.helpers.cluster.kustomize import Manifest


def test_each_selector_finds_exactly_one_kind_of_pod() -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in find_workloads(BASE)]
    for manifest in (each for each in BASE if each["kind"] in ("Service", "PodDisruptionBudget")):
        selector = manifest["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert len([each for each in labels if wanted.items() <= each.items()]) == 1, manifest["metadata"]["name"]


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
        name
        for name in own
        if is_selected(labels, find_manifest(policies, "NetworkPolicy", name)["spec"]["podSelector"])
    ] == [kind]


RELEASE = find_manifest(RENDERED["production"], "WorkflowTemplate", "penumbra-release")["spec"]
RELEASE_CONTAINER = RELEASE["templates"][0]["container"]


def test_a_release_asks_where_staging_is() -> None:
    given = {each["name"]: each.get("value") for each in RELEASE["arguments"]["parameters"]}
    settings, place = (
        read_overlay_settings("staging"),
        find_manifest(RENDERED["staging"], "Service", "mlflow")["metadata"],
    )
    port = urlsplit(settings.registry.tracking).port
    assert given == {
        "image": None,
        "version": "live",
        "tracking": f"http://{place['name']}.{place['namespace']}:{port}",
        "state": settings.cluster.state,
    }
    allowed = find_manifest(RENDERED["staging"], "NetworkPolicy", "production-reads")["spec"]["ingress"][0]
    namespace = find_manifest(RENDERED["production"], "Namespace", "penumbra-production")["metadata"]["name"]
    assert allowed["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": namespace}
    assert allowed["ports"] == [{"protocol": "TCP", "port": port}]


def test_pods_of_a_release_reach_stagings_mlflow_through_the_policies_of_both_namespaces() -> None:
    release = {**RELEASE["podMetadata"]["labels"], "workflows.argoproj.io/workflow": "penumbra-release-x"}
    mlflow = find_manifest(RENDERED["staging"], "Deployment", "mlflow")["spec"]["template"]["metadata"]["labels"]
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
    from mlflow.server.security_utils import is_allowed_host_header, is_health_endpoint  # imports the whole server

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
