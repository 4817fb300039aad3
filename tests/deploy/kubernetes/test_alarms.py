"""Alarms and dashboards ask for metrics that there are, and hold thresholds of the settings."""

import json
import re

import pytest
from prometheus_client import REGISTRY

from deploy.grafana import build_grafana_dashboard
from penumbra.core.settings import load_settings
from penumbra.logs.replicas.heartbeats import LOST_AFTER_SHIPPINGS
from service.http import metrics, side_metrics
from service.processes.archiver import ARCHIVE_METRIC_HELP
from service.processes.indexer import INDEX_METRIC_HELP
from service.processes.review_pass import REVIEW_METRIC_HELP
from service.processes.shipper import SHIP_METRIC_HELP
from service.shadow.metrics_file import METRIC_HELP
from tests.deploy.kubernetes.rendered_manifests import FOLDER, MONITORING, OVERLAYS, RENDERED, find_manifest

SIDE_METRICS = {
    "shadow": METRIC_HELP,
    "index": INDEX_METRIC_HELP,
    "archive": ARCHIVE_METRIC_HELP,
    "review": REVIEW_METRIC_HELP,
    "ship": SHIP_METRIC_HELP,
}


def test_prometheus_looks_into_the_namespaces_of_both_overlays() -> None:
    namespaces = find_manifest(MONITORING, "ServiceMonitor", "penumbra")["spec"]["namespaceSelector"]["matchNames"]
    assert namespaces == [
        find_manifest(RENDERED[name], "StatefulSet", "penumbra")["metadata"]["namespace"] for name in OVERLAYS
    ]


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
        rule
        for group in find_manifest(MONITORING, "PrometheusRule", "penumbra")["spec"]["groups"]
        for rule in group["rules"]
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
