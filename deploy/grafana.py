"""`python -m deploy.grafana`: prints Grafana's dashboard of the service, deploy/kubernetes/monitoring/grafana.json."""

import json
from typing import Any

SELECTOR = 'namespace="$namespace"'
WIDTH, HEIGHT = 8, 8  # of a panel, in units of which a row has 24
# Title and unit of each panel with its queries: legend and PromQL, in which % stands for the namespace.
PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Requests", "reqps", {"{{status}}": "sum by (status) (rate(penumbra_requests_total{%}[5m]))"}),
    (
        "Records answered, labels accepted",
        "reqps",
        {
            "records": "sum(rate(penumbra_records_total{%}[5m]))",
            "labels": "sum(rate(penumbra_labels_total{%}[5m]))",
        },
    ),
    (
        "Time to answer",
        "s",
        {
            f"{share} %": f"histogram_quantile(0.{share}, sum by (le) (rate(penumbra_request_seconds_bucket{{%}}[5m])))"
            for share in (50, 99)
        },
    ),
    (
        "Replicas by the version that answers",
        "short",
        {"version {{version}}": "count by (version) (penumbra_live_model{%} == 1)"},
    ),
    (
        "Turned away, fallbacks and failures",
        "reqps",
        {
            "turned away {{status}}": "sum by (status) (rate(penumbra_turned_away_total{%}[5m]))",
            "fallback to {{to}}": "sum by (to) (rate(penumbra_fallbacks_total{%}[5m]))",
            "not logged: {{log}}": "sum by (log) (rate(penumbra_log_failures_total{%}[5m]))",
        },
    ),
    ("Business rules that held", "reqps", {"{{rule}}": "sum by (rule) (rate(penumbra_rules_fired_total{%}[5m]))"}),
    (
        "Behind: index, archive and shipping",
        "s",
        {
            "index, {{log}}": "max by (log) (penumbra_index_lag_seconds{%})",
            "archive": "max(penumbra_archive_lag_seconds{%})",
            "shipped to others, {{pod}}": "max by (pod) (penumbra_ship_lag_seconds{%})",
        },
    ),
    ("Behind: shadow", "s", {"{{role}} {{version}}": "max by (role, version) (penumbra_shadow_lag_seconds{%})"}),
    (
        "Shadow: decisions that differ",
        "percentunit",
        {
            "{{role}} {{version}}": "avg by (role, version) (penumbra_shadow_differing_share{%})",
        },
    ),
    (
        "Workers that crashed, records blocked",
        "short",
        {
            "crashes, {{pod}}": "max by (pod) (penumbra_worker_crashes{%})",
            "blocked, {{pod}}": "max by (pod) (penumbra_blocked_records{%})",
        },
    ),
    ("Review queue", "short", {"{{status}}": "max by (status) (penumbra_review_cases{%})"}),
    (
        "Logs on the volumes",
        "bytes",
        {
            "used, {{pod}}": "sum by (pod) (penumbra_archive_log_bytes{%})",
            "free, {{pod}}": "min by (pod) (penumbra_archive_free_bytes{%})",
        },
    ),
)


def build_grafana_dashboard() -> dict[str, Any]:
    """Build the dashboard, with a variable for the namespace.

    Returns:
        The dashboard in Grafana's JSON model, with a panel for each of `PANELS`, three in a row.
    """
    datasource = {"type": "prometheus", "uid": "${datasource}"}
    namespaces = "label_values(penumbra_requests_total, namespace)"
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        {"name": "namespace", "type": "query", "datasource": datasource, "query": namespaces, "refresh": 2},
    ]
    return {
        "uid": "penumbra",
        "title": "Penumbra",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "panels": [_build_panel(number, datasource, *panel) for number, panel in enumerate(PANELS)],
    }


def _build_panel(number: int, datasource: Any, title: str, unit: str, queries: dict[str, str]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": datasource,
        "gridPos": {"x": number % 3 * WIDTH, "y": number // 3 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + position), "legendFormat": legend, "expr": query.replace("%", SELECTOR)}
            for position, (legend, query) in enumerate(queries.items())
        ],
    }


if __name__ == "__main__":
    print(json.dumps(build_grafana_dashboard(), indent=1))
