"""The model of capacity: what breaks first, and that it reckons with the manifests as they are."""

from dataclasses import replace

import pytest
import yaml

from benchmarks.cluster.capacity import (
    GIB,
    ClusterSize,
    MeasuredFigures,
    compute_model_costs,
    compute_rate_limits,
    compute_registry_limit,
    compute_row_costs,
    compute_volume_days,
)
from penumbra.core.settings import PROJECT_ROOT
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS
from tests.helpers.cluster.kustomize import read_env_file

BASE = PROJECT_ROOT / "deploy/kubernetes/base"
MEASURED, SIZE = MeasuredFigures(), ClusterSize()


def test_the_model_reckons_with_the_manifests() -> None:
    documents = list(yaml.safe_load_all((BASE / "service.yaml").read_text()))
    service, shadow = documents[0]["spec"]["template"]["spec"]["containers"]
    (claim,) = documents[0]["spec"]["volumeClaimTemplates"]
    settings = read_env_file(BASE / "settings.env")
    target = documents[3]["spec"]["metrics"][0]["containerResource"]["target"]["averageUtilization"]
    mebi = 2**20
    asked = int(service["resources"]["requests"]["memory"].removesuffix("Gi")) * GIB
    asked += int(shadow["resources"]["requests"]["memory"].removesuffix("Mi")) * mebi
    assert SIZE.volume_bytes == int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) * GIB
    assert settings["PENUMBRA_SERVICE__WORKERS"] == str(SIZE.workers) == service["resources"]["requests"]["cpu"]
    assert float(settings["PENUMBRA_LOG__KEEP_DAYS"]) == SIZE.keep_days
    assert SIZE.busy_share == target / 100
    assert shadow["resources"]["limits"]["cpu"] == f"{SIZE.shadow_cores:g}"
    assert asked == SIZE.pod_bytes
    assert len({LIVE_ALIAS, CANDIDATE_ALIAS, PREVIOUS_ALIAS, CANARY_ALIAS}) == 4  # that a replica polls


def test_workers_double_with_the_replicas_and_the_index_of_labels_does_not() -> None:
    few, many = (compute_rate_limits(replace(SIZE, pods=pods), MEASURED) for pods in (10, 20))
    assert many["workers"] == 2 * few["workers"]
    assert many["index of a replica (one core)"] < 1.05 * few["index of a replica (one core)"]


def test_with_few_labels_the_workers_are_the_first_to_be_at_their_end() -> None:
    limits = compute_rate_limits(replace(SIZE, pods=10), MEASURED, labelled_share=0.01)
    assert min(limits, key=limits.__getitem__) == "workers"
    all_labelled = compute_rate_limits(replace(SIZE, pods=10), MEASURED)
    assert min(all_labelled, key=all_labelled.__getitem__) == "index of a replica (one core)"


def test_a_volume_is_full_at_once_where_a_day_of_lines_does_not_fit() -> None:
    assert compute_volume_days(SIZE, MEASURED, 10_000) == 0
    assert compute_volume_days(SIZE, MEASURED, 10) > compute_volume_days(SIZE, MEASURED, 100) > 0


def test_costs_grow_with_rows_and_models() -> None:
    assert compute_row_costs(MEASURED, 2)["lines, GB"] == pytest.approx(2 * compute_row_costs(MEASURED, 1)["lines, GB"])
    slow = replace(SIZE, poll_seconds=60)
    assert compute_registry_limit(slow, MEASURED) == 60 * compute_registry_limit(SIZE, MEASURED)
    name = "cores of MLflow that answer polls"
    assert compute_model_costs(slow, MEASURED)[name] == pytest.approx(compute_model_costs(SIZE, MEASURED)[name] / 60)
