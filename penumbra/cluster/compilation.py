"""Compile the flows to manifests of Argo Workflows, on any machine: neither a cluster nor a store has to be there."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from penumbra.cluster.deployment_recorder import DeploymentRecorder, record_deployments
from penumbra.cluster.manifests import Manifest, build_event_manifests, finish_manifest, format_manifests
from penumbra.cluster.metaflow_config import (
    ClusterRefused,
    build_metaflow_environment,
    list_flow_options,
    require_cluster_settings,
)
from penumbra.cluster.pod_settings import PodSettings, read_pod_settings
from penumbra.core.settings import PROJECT_ROOT, Settings

COMPILED_FLOWS = ("ingest", "train", "experiment", "monitor", "promote", "score")
DEPLOY_SECONDS = 300  # after which a flow isn't waited for any more
TOKEN = "penumbra"  # of a deployment: who has another can't deploy over it
CREATE_OPTIONS = (f"--new-token={TOKEN}", "--no-auto-emit-argo-events", "--no-enable-error-msg-capture")


def compile_flows(
    settings: Settings, folder: Path, variables: Mapping[str, str], flows: Sequence[str] = COMPILED_FLOWS
) -> tuple[list[Path], PodSettings]:
    """Compile flows.

    Args:
        settings: The settings.
        folder: Where the files are written; it is made if it doesn't exist.
        variables: Environment variables of every pod, beside those of the settings.
        flows: The names of the flows' files in flows/, without ".py"; all if none is named.

    Returns:
        The files, one for each flow and one for what carries events; and which settings the pods get in them.

    Raises:
        ClusterRefused: The settings don't say where pods run, or Metaflow refuses a flow.
        OSError: The folder can't be written.
    """
    require_cluster_settings(settings)
    pods = read_pod_settings(settings, os.environ)
    variables = {**variables, **pods.passed}
    contents = {"events": build_event_manifests(settings.cluster)}
    with record_deployments() as recorder, tempfile.TemporaryDirectory() as home:
        for flow in flows:
            contents[flow] = [
                finish_manifest(manifest, settings.cluster, variables)
                for manifest in _deploy_flow(flow, settings, recorder, Path(home))
            ]
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / f"{name}.yaml": format_manifests(manifests) for name, manifests in contents.items()}
    for file, text in files.items():
        file.write_text(text)
    return list(files), pods


def _deploy_flow(flow: str, settings: Settings, recorder: DeploymentRecorder, home: Path) -> list[Manifest]:
    """Have Metaflow deploy a flow to the stand-in. Returns what it created."""
    recorder.manifests.clear()
    path = str(PROJECT_ROOT / "flows" / f"{flow}.py")
    deploy = ["argo-workflows", f"--name=penumbra-{flow}", "create", *CREATE_OPTIONS]
    workers = f"--max-workers={settings.cluster.parallel_pods}"
    try:
        process = subprocess.run(
            [sys.executable, path, *list_flow_options(settings.cluster), *deploy, workers],
            env=_build_environment(settings, recorder, home),
            capture_output=True,
            text=True,
            timeout=DEPLOY_SECONDS,
        )
    except subprocess.TimeoutExpired:
        message = (
            f"Metaflow doesn't compile flows/{flow}.py within {DEPLOY_SECONDS} s: check cluster.state and cluster.image"
        )
        raise ClusterRefused(message) from None
    if process.returncode:
        raise ClusterRefused(f"Metaflow doesn't compile flows/{flow}.py: {process.stdout}{process.stderr}")
    return list(recorder.manifests)


def _build_environment(settings: Settings, recorder: DeploymentRecorder, home: Path) -> dict[str, str]:
    """This process' environment, but for what it says of other clusters and stores."""
    config = home / "kubeconfig"
    config.write_text(json.dumps(describe_cluster(recorder.address)))
    own = {name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW_", "AWS_"))}
    credentials = {"AWS_ACCESS_KEY_ID": TOKEN, "AWS_SECRET_ACCESS_KEY": TOKEN, "AWS_DEFAULT_REGION": "us-east-1"}
    stand_in = {"KUBECONFIG": str(config), "AWS_ENDPOINT_URL_S3": recorder.address, "NO_PROXY": "127.0.0.1"}
    metaflow = build_metaflow_environment(settings.cluster)
    return {**own, **credentials, **stand_in, **metaflow, "METAFLOW_HOME": str(home), "METAFLOW_USER": "penumbra"}


def describe_cluster(address: str) -> dict[str, object]:
    """Describe a cluster as a kubeconfig has it.

    Args:
        address: The address of its API.

    Returns:
        The kubeconfig, of JSON's types.
    """
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": TOKEN,
        "clusters": [{"name": TOKEN, "cluster": {"server": address}}],
        "contexts": [{"name": TOKEN, "context": {"cluster": TOKEN, "user": TOKEN}}],
        "users": [{"name": TOKEN, "user": {}}],
    }
