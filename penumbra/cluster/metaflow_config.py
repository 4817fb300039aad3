"""What Metaflow is told of the cluster, as environment variables, and what has to be there first."""

import importlib.util
import math
import os
from pathlib import Path

from penumbra.core.settings import ClusterSettings, Settings
from penumbra.core.text.installation import describe_installation

EVENT_NAMES = "penumbra"  # of the event bus, the event source and its event
EVENT_PORT = 12000
POD_RETRIES = 3
REFUSED_EXIT_CODE = 202  # Metaflow's METAFLOW_EXIT_DISALLOW_RETRY, without its import


class ClusterRefused(RuntimeError):
    """Flows can't run on a cluster with these settings, or from this machine; the message says why."""


def require_cluster_settings(settings: Settings) -> None:
    """Check that the settings say where pods run and what they share.

    Args:
        settings: The settings.

    Raises:
        ClusterRefused: The extra `cluster` isn't installed, or a setting is missing.
    """
    if importlib.util.find_spec("kubernetes") is None:
        raise ClusterRefused(f"Metaflow needs the client of Kubernetes: {describe_installation('cluster')}")
    if not settings.cluster.image:
        raise ClusterRefused(
            'cluster.image = "": name the image of the flows, with its tag (docs/cluster.md says how to build it)'
        )
    if not settings.cluster.state.startswith("s3://"):
        raise ClusterRefused(
            f"cluster.state = {settings.cluster.state!r}: pods share no disk, and Metaflow needs a store on S3; "
            'expected "s3://bucket/path"'
        )


def require_reachable_cluster() -> None:
    """Check that this machine knows a cluster.

    Raises:
        ClusterRefused: There is no configuration of a cluster, and this is no pod.
    """
    file = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    if not file.exists() and "KUBERNETES_SERVICE_HOST" not in os.environ:
        raise ClusterRefused(
            f"no cluster is configured on this machine: {file} is missing (KUBECONFIG names another file); "
            "`kubectl cluster-info` has to answer first"
        )


def list_flow_options(cluster: ClusterSettings) -> list[str]:
    """List the options before Metaflow's command by which a flow's steps run as pods that are retried.

    Args:
        cluster: The settings' section `cluster`.

    Returns:
        The options. Metaflow waits whole minutes between retries, the same before each; Argo is told anything else.
    """
    minutes = math.ceil(cluster.retry_seconds / 60)
    return ["--no-pylint", "--datastore=s3", f"--with=retry:times={POD_RETRIES},minutes_between_retries={minutes}"]


def build_metaflow_environment(cluster: ClusterSettings) -> dict[str, str]:
    """Build Metaflow's configuration for pods.

    Args:
        cluster: The settings' section `cluster`.

    Returns:
        Environment variables for a flow's process, by name.
    """
    address = f"http://{EVENT_NAMES}-eventsource-svc.{cluster.namespace}:{EVENT_PORT}/{EVENT_NAMES}"
    return {
        "METAFLOW_DATASTORE_SYSROOT_S3": f"{cluster.state.rstrip('/')}/metaflow",
        "METAFLOW_KUBERNETES_CONTAINER_IMAGE": cluster.image,
        "METAFLOW_KUBERNETES_NAMESPACE": cluster.namespace,
        "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": cluster.service_account,
        "METAFLOW_KUBERNETES_SECRETS": ",".join(cluster.secrets),
        "METAFLOW_KUBERNETES_CPU": f"{cluster.cpu:g}",
        "METAFLOW_KUBERNETES_MEMORY": str(cluster.memory_mb),
        "METAFLOW_RUN_MAX_WORKERS": str(cluster.parallel_pods),
        "METAFLOW_ARGO_EVENTS_EVENT": EVENT_NAMES,
        "METAFLOW_ARGO_EVENTS_EVENT_BUS": EVENT_NAMES,
        "METAFLOW_ARGO_EVENTS_EVENT_SOURCE": EVENT_NAMES,
        "METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT": f"{cluster.service_account}-events",
        "METAFLOW_ARGO_EVENTS_WEBHOOK_URL": address,
        "METAFLOW_ARGO_WORKFLOWS_USE_SCHEDULES": "true",
    }
