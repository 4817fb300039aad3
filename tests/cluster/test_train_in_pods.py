"""`make train CLUSTER=1` up to the first pod: the cluster's API is a stand-in that keeps what it is told to create."""

import json
import subprocess

import pytest

from penumbra.cluster.compilation import describe_cluster
from penumbra.cluster.deployment_recorder import record_deployments
from tests.helpers.command_line import run_command_line
from tests.helpers.servers.object_stores import launch_moto, make_bucket


def test_without_an_image_or_a_cluster_the_reason_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", "s3://bucket/state")
    assert run_command_line("train", "--cluster").stderr.startswith('cluster.image = "": name the image')
    monkeypatch.setenv("PENUMBRA_CLUSTER__IMAGE", "registry.example/flows:1")
    assert run_command_line("train", "--cluster").stderr.startswith("no cluster is configured on this machine")


@pytest.mark.slow
def test_the_first_step_becomes_a_job_with_the_images_code_and_the_settings_of_this_machine(monkeypatch, tmp_path):
    odd = """it's "x" $HOME \\ y"""
    with record_deployments() as recorder, launch_moto() as store:
        bucket = make_bucket(store, monkeypatch)
        (tmp_path / "kubeconfig").write_text(json.dumps(describe_cluster(recorder.address)))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", f"{bucket}/state")
        monkeypatch.setenv("PENUMBRA_CLUSTER__IMAGE", "registry.example/flows:1")
        monkeypatch.setenv("PENUMBRA_CLUSTER__RETRY_SECONDS", "0")
        monkeypatch.setenv("PENUMBRA_REGISTRY__MODEL", odd)
        monkeypatch.setenv("PENUMBRA_REGISTRY__TRACKING", "postgresql://me:Planted5ecret@database/mlflow")
        assert run_command_line("train", "--cluster").exit_code == 1  # the stand-in runs no pods
        job = recorder.manifests[0]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    script = container["command"][2]
    assert container["image"] == "registry.example/flows:1"
    assert "/ingest.py . && mflog 'Task is starting.'" in script
    assert "Planted5ecret" not in json.dumps(job)
    exports = " && ".join(part for part in script.split(" && ") if part.startswith("export PENUMBRA_"))
    shell = f'{exports} && printf %s "$PENUMBRA_REGISTRY__MODEL"'
    assert subprocess.run(["bash", "-c", shell], capture_output=True, text=True, env={}).stdout == odd
