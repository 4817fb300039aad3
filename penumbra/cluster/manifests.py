"""The manifests that Metaflow makes of a flow, made whole: settings and places of the pods, schedules, retries.

What differs from one compilation to the next is taken out, so that the same input gives the same bytes.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from penumbra.cluster.metaflow_config import EVENT_NAMES, EVENT_PORT, REFUSED_EXIT_CODE
from penumbra.core.settings import ClusterSettings

Manifest = dict[str, Any]
TIMESTAMP_ANNOTATION = "metaflow/deployment_timestamp"
PARAMETER_FILE = r"(?<=metaflow\.plugins\.argo\.set_parameters )([a-z]{10})(.*?`pwd`/)\1"
# The code is in the image, and what Metaflow knows of the machine that compiles is of no use in a pod.
DROPPED_VARIABLES = (
    "METAFLOW_CODE_METADATA",
    "METAFLOW_CODE_URL",
    "METAFLOW_CODE_SHA",
    "METAFLOW_CODE_DS",
    "METAFLOW_VERSION",
)
WORK_FOLDER = "/mnt/work"
KEPT_WORKFLOWS, KEPT_SECONDS = 30, 30 * 24 * 3600  # of workflows that are over
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def finish_manifest(manifest: Manifest, cluster: ClusterSettings, variables: Mapping[str, str]) -> Manifest:
    """Finish a manifest that Metaflow has made.

    Args:
        manifest: A WorkflowTemplate, CronWorkflow or Sensor.
        cluster: The settings' section `cluster`.
        variables: Environment variables of every pod.

    Returns:
        A new manifest.
    """
    manifest = _remove_noise(manifest)
    manifest["metadata"]["namespace"] = cluster.namespace
    spec = manifest["spec"]
    if manifest["kind"] == "CronWorkflow":
        spec["concurrencyPolicy"] = "Forbid"
        spec |= {"failedJobsHistoryLimit": KEPT_WORKFLOWS, "successfulJobsHistoryLimit": KEPT_WORKFLOWS}
    if manifest["kind"] == "WorkflowTemplate":
        spec["securityContext"] = POD_SECURITY
        spec["podSpecPatch"] = "enableServiceLinks: false"
        spec["ttlStrategy"] = {"secondsAfterCompletion": KEPT_SECONDS}
        for template in spec["templates"]:
            if "container" in template:
                _finish_step(template, cluster, variables)
    return manifest


def build_event_manifests(cluster: ClusterSettings) -> list[Manifest]:
    """Build what carries the event that asks for a training from the monitor's pod to the training's Sensor.

    Args:
        cluster: The settings' section `cluster`.

    Returns:
        An EventBus and an EventSource of Argo Events.
    """
    metadata = {
        "name": EVENT_NAMES,
        "namespace": cluster.namespace,
        "labels": {"app.kubernetes.io/part-of": "penumbra"},
    }
    webhook = {"port": str(EVENT_PORT), "endpoint": f"/{EVENT_NAMES}", "method": "POST"}
    source = {
        "eventBusName": EVENT_NAMES,
        "service": {"ports": [{"port": EVENT_PORT, "targetPort": EVENT_PORT}]},
        "webhook": {EVENT_NAMES: webhook},
    }
    return [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "EventBus",
            "metadata": metadata,
            "spec": {"jetstream": {"version": "latest", "replicas": 3}},
        },
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "EventSource", "metadata": metadata, "spec": source},
    ]


def format_manifests(manifests: list[Manifest]) -> str:
    """Format manifests as a file for `kubectl apply -f`.

    Args:
        manifests: The manifests, of JSON's types.

    Returns:
        YAML, a document each, keys sorted.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 1_000_000
    text = io.StringIO()
    yaml.dump_all(manifests, text)
    return text.getvalue()


def _finish_step(template: Manifest, cluster: ClusterSettings, variables: Mapping[str, str]) -> None:
    """Complete the pod of one step: where it works, what it is told, and when it is tried once more."""
    container = template["container"]
    container["command"] = [re.sub(PARAMETER_FILE, r"parameters\2parameters", part) for part in container["command"]]
    env = [each for each in container["env"] if each["name"] not in {*DROPPED_VARIABLES, *variables}]
    container["env"] = env + [{"name": name, "value": value} for name, value in sorted(variables.items())]
    resources = container["resources"]
    resources["limits"] = {**resources.get("limits", {}), "memory": resources["requests"]["memory"]}
    container["securityContext"] = CONTAINER_SECURITY
    container["workingDir"] = WORK_FOLDER
    for name, folder in (("work", WORK_FOLDER), ("tmp", "/tmp")):
        template["volumes"].append({"name": name, "emptyDir": {}})
        container["volumeMounts"].append({"name": name, "mountPath": folder})
    template["retryStrategy"]["backoff"] = {"duration": f"{cluster.retry_seconds:g}s", "factor": 2}
    template["retryStrategy"]["expression"] = f"asInt(lastRetry.exitCode) != {REFUSED_EXIT_CODE}"


def _remove_noise(value: Any) -> Any:
    """A copy without nulls and times of day."""
    if isinstance(value, dict):
        return {
            key: _remove_noise(each) for key, each in value.items() if each is not None and key != TIMESTAMP_ANNOTATION
        }
    return [_remove_noise(each) for each in value] if isinstance(value, list) else value
